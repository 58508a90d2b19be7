//! `[inference]`, a bundle → what looks at frames.

use lintel_core::quality::QualityLimits;
use lintel_inference::{FaceAnalyzer, Fallback, Fetch, Library, LoadedBundle, Options, Provider};
use lintel_wire::event::Text;

use super::error::RunError;
use super::options::RunOptions;
use crate::config::ProviderName;
use crate::events;
use crate::pipeline::Analyzer;
use crate::pipeline::recorded::Recorded;

/// How the models are run, by the settings.
#[must_use]
pub fn inference(options: &RunOptions) -> Options {
    let inference = &options.config.inference;
    let provider = |name: &ProviderName| match name {
        ProviderName::Tensorrt => Provider::TensorRt,
        ProviderName::Cuda => Provider::Cuda,
        ProviderName::Cpu => Provider::Cpu,
    };
    let path = Some(inference.onnxruntime.clone()).filter(|path| !path.as_os_str().is_empty());
    Options {
        library: Library {
            path,
            cache: options.cache.clone(),
            fetch: if options.fetch { Fetch::Allowed } else { Fetch::Never },
        },
        providers: inference.providers.iter().map(provider).collect(),
        fallback: if inference.require { Fallback::Refused } else { Fallback::Shown },
        threads: inference.threads.into(),
        engines: Some(options.state.join("engines")),
    }
}

/// The models, and what computes them; or, for rigs, what was seen before.
pub(super) fn open(options: &RunOptions, bundle: LoadedBundle) -> Result<(Box<dyn Analyzer>, Text), RunError> {
    if let Some(path) = &options.recorded {
        tracing::warn!("nobody is recognised: what is seen comes from {}", path.display());
        return Ok((Box::new(Recorded::open(path)?), events::text("recorded")));
    }
    let vision = FaceAnalyzer::new(bundle, &inference(options), QualityLimits::default())?;
    for skipped in vision.encoder().skipped().iter().chain(vision.detector().skipped()) {
        tracing::warn!("inference provider {} was skipped: {}", skipped.provider, skipped.reason);
    }
    let provider = events::text(vision.encoder().provider().name());
    Ok((Box::new(vision), provider))
}
