//! Bytes of an `.onnx` file → a session of ONNX Runtime, on the first provider that works. All sessions begin here.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ort::environment::Environment;
use ort::logging::{LogLevel, LoggerFunction};
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};

use super::engines;
use super::error::RuntimeError;
use super::library::{self, Library, LibraryError};
use super::one_line::one_line;
use super::provider::Provider;
use super::saturation;

/// Most threads that are taken when the options leave it open.
const MAX_DEFAULT_THREADS: usize = 4;

/// What to do when the first provider does not work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fallback {
    /// Take the next one, and say so.
    #[default]
    Shown,
    /// Give up.
    Refused,
}

/// How sessions are opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where ONNX Runtime is. What the process opens first decides; it is loaded once.
    pub library: Library,
    /// What is to compute, in order of preference.
    pub providers: Vec<Provider>,
    /// What to do when the first of them does not work.
    pub fallback: Fallback,
    /// Threads of one model; 0: as many as there are processors, up to 4.
    pub threads: usize,
    /// Where TensorRT's engines are kept, in a folder for each model and GPU; without it they are built every time.
    pub engines: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            library: Library::default(),
            providers: vec![Provider::Cpu],
            fallback: Fallback::default(),
            threads: 0,
            engines: None,
        }
    }
}

impl Options {
    fn intra_threads(&self) -> usize {
        let processors = || std::thread::available_parallelism().map_or(1, usize::from);
        if self.threads == 0 { processors().min(MAX_DEFAULT_THREADS) } else { self.threads }
    }
}

/// A provider that was asked for and did not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The provider that was asked for.
    pub provider: Provider,
    /// ONNX Runtime's words.
    pub reason: String,
}

/// A session, and who computes in it.
#[derive(Debug)]
pub struct Opened {
    /// The session, ready to run.
    pub session: Session,
    /// The first provider that worked.
    pub provider: Provider,
    /// Those before it in the configured order, which did not.
    pub skipped: Vec<Skipped>,
}

/// What is to be seen of a session's inner life. By default nothing, and the graph is optimised as it is at a door.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inspect<'a> {
    /// How far the graph is rewritten before it runs.
    pub level: GraphOptimizationLevel,
    /// Where the rewritten graph is written.
    pub optimized: Option<&'a Path>,
    /// Where the times of the nodes are written; ONNX Runtime adds the date to the name.
    pub profile: Option<&'a Path>,
}

impl Default for Inspect<'_> {
    fn default() -> Self {
        Self { level: GraphOptimizationLevel::All, optimized: None, profile: None }
    }
}

/// Opens the model in `onnx`. `doing` is what errors say could not be done: "open the detector".
pub fn open(doing: &'static str, onnx: &[u8], options: &Options) -> Result<Opened, RuntimeError> {
    let opened = open_inspected(doing, onnx, options, Inspect::default())?;
    if opened.provider == Provider::Cpu {
        saturation::check(&opened.session)?;
    }
    Ok(opened)
}

/// Like [`open`], with a look inside.
pub(super) fn open_inspected(
    doing: &'static str,
    onnx: &[u8],
    options: &Options,
    inspect: Inspect<'_>,
) -> Result<Opened, RuntimeError> {
    let environment = environment(&options.library)?;
    let mut skipped = Vec::new();
    for &provider in &options.providers {
        let builder = builder(&environment, options, inspect).map_err(RuntimeError::onnx("set up a session"))?;
        let engines = options.engines.as_ref().filter(|_| provider == Provider::TensorRt);
        let engines = engines.and_then(|folder| engines::folder(folder, onnx));
        let registered = match provider.dispatch(engines.as_deref()) {
            Some(dispatch) => builder.with_execution_providers([dispatch]),
            None => Ok(builder),
        };
        match registered.map_err(|error| error.to_string()) {
            Ok(mut builder) => match builder.commit_from_memory(onnx) {
                Ok(session) => return Ok(Opened { session, provider, skipped }),
                // The processor runs every model that is valid: what it refuses is the model's fault.
                Err(error) if provider == Provider::Cpu => return Err(RuntimeError::onnx(doing)(error)),
                Err(error) => skipped.push(Skipped { provider, reason: one_line(&error.to_string()) }),
            },
            Err(reason) => skipped.push(Skipped { provider, reason: one_line(&reason) }),
        }
        if let (Fallback::Refused, Some(Skipped { provider, reason })) = (options.fallback, skipped.last()) {
            return Err(RuntimeError::Provider { provider: *provider, reason: reason.clone() });
        }
    }
    match skipped.pop() {
        Some(Skipped { provider, reason }) => Err(RuntimeError::Provider { provider, reason }),
        None => Err(RuntimeError::NoProvider),
    }
}

fn builder(environment: &Environment, options: &Options, inspect: Inspect<'_>) -> ort::Result<SessionBuilder> {
    let mut builder = Session::builder(environment)?
        .with_optimization_level(inspect.level)?
        .with_intra_threads(options.intra_threads())?
        .with_inter_threads(1)?
        // Threads that spin between frames take the processor from capture and decoding.
        .with_intra_op_spinning(false)?
        .with_inter_op_spinning(false)?
        .with_log_level(LogLevel::Warning)?;
    if let Some(path) = inspect.optimized {
        builder = builder.with_optimized_model_path(path)?;
    }
    if let Some(path) = inspect.profile {
        builder = builder.with_profiling(path)?;
    }
    Ok(builder)
}

/// ONNX Runtime's own environment: one per process, made at the first use and never dropped.
fn environment(library: &Library) -> Result<Environment, RuntimeError> {
    static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);
    // Nothing that is half done is ever stored, so a panic elsewhere left it as it was.
    let mut environment = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = &*environment {
        return Ok(environment.clone());
    }
    let path = library::find(library)?;
    let loaded = ort::init_from(&path).map_err(unusable(path))?;
    // Its log is for those who ask for it: every error comes back as a value as well.
    let logger: LoggerFunction = Arc::new(|level, category, _id, _place, message| {
        tracing::debug!(target: "onnxruntime", ?level, category, "{message}");
    });
    let made = loaded.with_name("lintel").with_telemetry(false).with_logger(logger).build();
    let made = made.map_err(RuntimeError::onnx("start"))?;
    made.set_log_level(LogLevel::Warning);
    Ok(environment.insert(made).clone())
}

fn unusable(path: PathBuf) -> impl FnOnce(ort::LoadDynamicError) -> LibraryError {
    move |error| LibraryError::Unusable { path, reason: one_line(&error.to_string()) }
}

/// The shape of a model's end, for messages: `u8 [1, 480, 640, 3]`.
pub(super) fn describe(value: &ort::value::ValueType) -> String {
    match (value.tensor_type(), value.tensor_shape()) {
        (Some(element), Some(shape)) => format!("{} {shape}", element.to_string().to_lowercase()),
        _ => "not a tensor".into(),
    }
}
