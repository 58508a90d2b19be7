//! Frame → faces, by a detector in ONNX Runtime. Its architecture is recognised from its outputs.

pub mod architecture;
mod scrfd;

use std::time::Duration;

use ort::session::{Session, SessionOutputs};
use ort::value::{Tensor, TensorElementType, TensorRef, ValueType};

use super::error::RuntimeError;
use super::provider::Provider;
use super::session::{self, Options, Skipped, describe};
use super::timing::timed;
use architecture::{Architecture, Known, Outputs, floats};
use lintel_core::detect::{self, Faces, Letterbox, Limits};
use lintel_core::frame::Frame;
use scrfd::Scrfd;

/// What a dynamic model is run at, unless it is said otherwise: the size that SCRFD's authors measure with.
const DEFAULT_INPUT: (u32, u32) = (640, 640);

/// Every architecture, in the order in which they are tried.
const KNOWN: &[Known] = &[Scrfd::KNOWN];

/// A face detector with five landmarks, ready to run.
///
/// It takes two forms of input: that of bundles, u8 `[1, H, W, 3]`, which normalises inside the model; and that of the
/// published files, f32 `[1, 3, H, W]`, normalised as the [`Architecture`] says.
#[derive(Debug)]
pub struct Detector {
    session: Session,
    provider: Provider,
    skipped: Vec<Skipped>,
    input: (u32, u32),
    pixels: Input,
    architecture: Box<dyn Architecture>,
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
        let architecture = recognise(&pixels.run(&mut session, &mut inside)?, input)?;
        inside = Duration::ZERO;
        let (letterbox, half) = (Letterbox::new(input, input), Letterbox::shrunk(input, input, 2));
        let (provider, skipped) = (opened.provider, opened.skipped);
        Ok(Self { session, provider, skipped, input, pixels, architecture, letterbox, half, limits, inside })
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

    /// Runs once more, at half the scale, for faces so near that they fill the frame: a detector has no anchors for
    /// them, misses them, or puts their landmarks beside them. Such faces replace what `faces` holds of them; smaller
    /// ones stay as they are.
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
        let architecture = &*self.architecture;
        let (session, inside) = (&mut self.session, &mut self.inside);
        let outputs = self.pixels.run_on(frame, letterbox, architecture, session, inside)?;
        architecture.decode(&Outputs(&outputs), self.input, letterbox, &self.limits)
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

    fn fill(&mut self, letterbox: &mut Letterbox, frame: &Frame<'_>, architecture: &dyn Architecture) {
        match self {
            Self::Bytes(tensor) => letterbox.fill(frame, tensor.extract_tensor_mut().1),
            Self::Floats { tensor, bytes } => {
                letterbox.fill(frame, bytes);
                architecture.normalise(bytes, tensor.extract_tensor_mut().1);
            }
        }
    }

    /// Runs the model on a frame: on its own pixels where they are what the model takes, or else on what the letterbox
    /// makes of them.
    fn run_on<'s>(
        &mut self,
        frame: &Frame<'_>,
        letterbox: &mut Letterbox,
        architecture: &dyn Architecture,
        session: &'s mut Session,
        inside: &mut Duration,
    ) -> Result<SessionOutputs<'s>, RuntimeError> {
        if let (Self::Bytes(tensor), true) = (&*self, letterbox.is_identity()) {
            let borrowed = TensorRef::from_array_view((tensor.shape().clone(), frame.pixels()));
            let borrowed = borrowed.map_err(RuntimeError::onnx("borrow a frame"))?;
            let outputs = timed(inside, || session.run(ort::inputs![borrowed]));
            return outputs.map_err(RuntimeError::onnx("run the detector"));
        }
        self.fill(letterbox, frame, architecture);
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

/// The architecture of the model that gave these outputs.
fn recognise(outputs: &SessionOutputs<'_>, input: (u32, u32)) -> Result<Box<dyn Architecture>, RuntimeError> {
    let found = floats(outputs).and_then(|outputs| KNOWN.iter().find_map(|known| (known.recognise)(&outputs, input)));
    found.ok_or_else(|| RuntimeError::Shape {
        what: "detector's set of outputs",
        got: outputs.values().map(|value| describe(value.dtype())).collect::<Vec<_>>().join(", "),
        wanted: KNOWN.iter().map(|known| known.outputs).collect::<Vec<_>>().join(", or "),
    })
}
