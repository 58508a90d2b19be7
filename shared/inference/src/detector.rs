//! Frame → faces, by an SCRFD model in ONNX Runtime.

use std::time::Duration;

use ort::session::{Session, SessionOutputs};
use ort::value::{Tensor, TensorElementType, TensorRef, ValueType};

use super::error::RuntimeError;
use super::provider::Provider;
use super::session::{self, Options, Skipped, describe};
use super::timing::timed;
use lintel_core::detect::{self, Faces, Letterbox, Level, Limits, STRIDES, decode};
use lintel_core::frame::Frame;

/// What a dynamic model is run at, when nobody says otherwise: the size that SCRFD's authors measure with.
const DEFAULT_INPUT: (u32, u32) = (640, 640);

/// An SCRFD model with keypoints, ready to run.
///
/// Two forms of input are taken: that of bundles, u8 `[1, H, W, 3]`, which normalises inside the model; and that of
/// the published files, f32 `[1, 3, H, W]` holding (x − 127.5) / 128. The nine outputs are told apart by their
/// shapes, since every exporter names them differently.
#[derive(Debug)]
pub struct Detector {
    session: Session,
    provider: Provider,
    skipped: Vec<Skipped>,
    input: (u32, u32),
    pixels: Input,
    outputs: Outputs,
    letterbox: Letterbox,
    /// For faces that are too near to be seen whole.
    half: Letterbox,
    limits: Limits,
    inside: Duration,
}

/// The input tensor, made once and filled anew for each frame.
#[derive(Debug)]
enum Input {
    Bytes(Tensor<u8>),
    Floats { tensor: Tensor<f32>, bytes: Vec<u8> },
}

/// For each level, which of the model's outputs are its scores, boxes and landmarks.
type Outputs = [[usize; 3]; 3];

/// Components of a score, a box, and five landmarks.
const WIDTHS: [usize; 3] = [1, 4, 10];

impl Detector {
    /// Opens the model, and runs it once, so that the first frame is not slower than the others.
    pub fn open(onnx: &[u8], options: &Options) -> Result<Self, RuntimeError> {
        Self::open_with(onnx, options, DEFAULT_INPUT, Limits::default())
    }

    /// Like [`Self::open`]. `dynamic_input`: width and height at which a model that leaves its input's size open is
    /// run; a model of fixed size keeps its own.
    pub fn open_with(
        onnx: &[u8],
        options: &Options,
        dynamic_input: (u32, u32),
        limits: Limits,
    ) -> Result<Self, RuntimeError> {
        let opened = session::open("open the detector", onnx, options)?;
        let mut session = opened.session;
        let (input, pixels) = Input::of(&session, dynamic_input)?;
        detect::check_input(input)?;
        // The first run's time goes with the opening.
        let mut inside = Duration::ZERO;
        let outputs = recognise(&pixels.run(&mut session, &mut inside)?, input)?;
        inside = Duration::ZERO;
        let (letterbox, half) = (Letterbox::new(input, input), Letterbox::shrunk(input, input, 2));
        let (provider, skipped) = (opened.provider, opened.skipped);
        Ok(Self { session, provider, skipped, input, pixels, outputs, letterbox, half, limits, inside })
    }

    /// Width and height of what the model looks at, in pixels.
    pub fn input(&self) -> (u32, u32) {
        self.input
    }

    /// Who computes.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// Who should have computed, and why they do not.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// What counts as a face.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The faces in `frame`, the best first. Frames may have any size; staying with one size is fastest.
    pub fn detect(&mut self, frame: &Frame<'_>) -> Result<Faces, RuntimeError> {
        if self.letterbox.frame() != frame.size() {
            self.letterbox = Letterbox::new(frame.size(), self.input);
        }
        self.run(frame, false)
    }

    /// Looks once more at the frame, at half the scale, for faces so near that they fill it: SCRFD has no anchors for
    /// them, misses them, or puts their landmarks beside them. Such faces take the place of what `faces` holds of them;
    /// smaller ones are left as they are.
    pub fn detect_near(&mut self, frame: &Frame<'_>, faces: &mut Faces) -> Result<(), RuntimeError> {
        if self.half.frame() != frame.size() {
            self.half = Letterbox::shrunk(frame.size(), self.input, 2);
        }
        let seen = self.run(frame, true)?;
        detect::take_near(faces, &seen, frame.size(), self.limits.max_iou);
        Ok(())
    }

    fn run(&mut self, frame: &Frame<'_>, half: bool) -> Result<Faces, RuntimeError> {
        let letterbox = if half { &mut self.half } else { &mut self.letterbox };
        let outputs = self.pixels.run_on(frame, letterbox, &mut self.session, &mut self.inside)?;
        let mut levels = [Level { stride: 0, scores: &[], boxes: &[], landmarks: &[] }; 3];
        for ((level, places), stride) in levels.iter_mut().zip(&self.outputs).zip(STRIDES) {
            let [scores, boxes, landmarks] = places.map(|place| numbers(&outputs, place));
            *level = Level { stride, scores: scores?, boxes: boxes?, landmarks: landmarks? };
        }
        Ok(decode(&levels, self.input, letterbox, &self.limits)?)
    }

    /// Time spent inside ONNX Runtime since the model was opened.
    pub(super) fn inside(&self) -> Duration {
        self.inside
    }
}

impl Input {
    /// The tensor that the model asks for, and its width and height.
    fn of(session: &Session, dynamic: (u32, u32)) -> Result<((u32, u32), Self), RuntimeError> {
        let [input] = session.inputs() else {
            let got = format!("a model with {} inputs", session.inputs().len());
            return Err(RuntimeError::Shape { what: "detector", got, wanted: "one input".into() });
        };
        let refused = || RuntimeError::Shape {
            what: "detector input",
            got: describe(input.dtype()),
            wanted: "u8 [1, H, W, 3] or f32 [1, 3, H, W]".into(),
        };
        let ValueType::Tensor { ty, shape, .. } = input.dtype() else { return Err(refused()) };
        // Open sizes are -1.
        let side = |size: i64, open: u32| if size == -1 { Some(open) } else { u32::try_from(size).ok() };
        let (height, width, bytes) = match (ty, shape.as_ref()) {
            (TensorElementType::Uint8, &[1 | -1, height, width, 3]) => (height, width, true),
            (TensorElementType::Float32, &[1 | -1, 3, height, width]) => (height, width, false),
            _ => return Err(refused()),
        };
        let (width, height) = side(width, dynamic.0).zip(side(height, dynamic.1)).ok_or_else(refused)?;
        // Before anything of this size is allocated.
        detect::check_input((width, height))?;
        let (w, h) = (width as usize, height as usize);
        let allocate = RuntimeError::onnx("make an input tensor");
        let tensor = if bytes {
            Tensor::from_array(([1, h, w, 3], vec![0; w * h * 3])).map(Self::Bytes)
        } else {
            let tensor = Tensor::from_array(([1, 3, h, w], vec![0.0; w * h * 3]));
            tensor.map(|tensor| Self::Floats { tensor, bytes: vec![0; w * h * 3] })
        };
        Ok(((width, height), tensor.map_err(allocate)?))
    }

    fn fill(&mut self, letterbox: &mut Letterbox, frame: &Frame<'_>) {
        match self {
            Self::Bytes(tensor) => letterbox.fill(frame, tensor.extract_tensor_mut().1),
            Self::Floats { tensor, bytes } => {
                letterbox.fill(frame, bytes);
                normalise(bytes, tensor.extract_tensor_mut().1);
            }
        }
    }

    /// Runs the model on a frame: on its own pixels where they are what the model takes, or else on what the letterbox
    /// makes of them.
    fn run_on<'s>(
        &mut self,
        frame: &Frame<'_>,
        letterbox: &mut Letterbox,
        session: &'s mut Session,
        inside: &mut Duration,
    ) -> Result<SessionOutputs<'s>, RuntimeError> {
        if let (Self::Bytes(tensor), true) = (&*self, letterbox.is_identity()) {
            let borrowed = TensorRef::from_array_view((tensor.shape().clone(), frame.pixels()));
            let borrowed = borrowed.map_err(RuntimeError::onnx("borrow a frame"))?;
            let outputs = timed(inside, || session.run(ort::inputs![borrowed]));
            return outputs.map_err(RuntimeError::onnx("run the detector"));
        }
        self.fill(letterbox, frame);
        self.run(session, inside)
    }

    /// Runs the model on what the tensor holds.
    fn run<'s>(&self, session: &'s mut Session, inside: &mut Duration) -> Result<SessionOutputs<'s>, RuntimeError> {
        let outputs = timed(inside, || match self {
            Self::Bytes(tensor) => session.run(ort::inputs![tensor]),
            Self::Floats { tensor, .. } => session.run(ort::inputs![tensor]),
        });
        outputs.map_err(RuntimeError::onnx("run the detector"))
    }
}

/// RGB8 `[H, W, 3]` → (x − 127.5) / 128 as `[3, H, W]`.
fn normalise(bytes: &[u8], floats: &mut [f32]) {
    let plane = floats.len() / 3;
    let (red, rest) = floats.split_at_mut(plane);
    let (green, blue) = rest.split_at_mut(plane);
    let planes = red.iter_mut().zip(green).zip(blue);
    for (pixel, ((red, green), blue)) in bytes.chunks_exact(3).zip(planes) {
        let value = |byte: u8| (f32::from(byte) - 127.5) * (1.0 / 128.0);
        (*red, *green, *blue) = (value(pixel[0]), value(pixel[1]), value(pixel[2]));
    }
}

/// Finds out which output is which from the shapes of one run: `[n, w]` or `[1, n, w]`, where n belongs to a stride
/// and w says whether these are scores, boxes or landmarks.
fn recognise(outputs: &SessionOutputs<'_>, input: (u32, u32)) -> Result<Outputs, RuntimeError> {
    let shapes: Vec<String> = outputs.values().map(|value| describe(value.dtype())).collect();
    let refused = || RuntimeError::Shape {
        what: "detector's set of outputs",
        got: shapes.join(", "),
        wanted: "f32 [n, 1], [n, 4] and [n, 10] for each of strides 8, 16 and 32 (an SCRFD model with keypoints)"
            .into(),
    };
    let mut found = [[None; 3]; 3];
    for (place, value) in outputs.values().enumerate() {
        let ValueType::Tensor { ty: TensorElementType::Float32, shape, .. } = value.dtype() else {
            return Err(refused());
        };
        let (&[n, width] | &[1, n, width]) = shape.as_ref() else { return Err(refused()) };
        let level = STRIDES.iter().position(|&stride| Ok(detect::rows(input, stride)) == usize::try_from(n));
        let kind = WIDTHS.iter().position(|&wanted| Ok(wanted) == usize::try_from(width));
        let (Some(level), Some(kind)) = (level, kind) else { return Err(refused()) };
        if found[level][kind].replace(place).is_some() {
            return Err(refused());
        }
    }
    let mut recognised = Outputs::default();
    for (place, found) in recognised.as_flattened_mut().iter_mut().zip(found.as_flattened()) {
        *place = found.ok_or_else(refused)?;
    }
    Ok(recognised)
}

/// The numbers of one output.
fn numbers<'o>(outputs: &'o SessionOutputs<'_>, place: usize) -> Result<&'o [f32], RuntimeError> {
    let extracted = outputs[place].try_extract_tensor::<f32>();
    Ok(extracted.map_err(RuntimeError::onnx("give the detector's outputs"))?.1)
}
