//! What can compute a model: a provider's name ⇄ ONNX Runtime's execution provider.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use ort::ep::ExecutionProviderDispatch;

/// What computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Provider {
    /// NVIDIA TensorRT.
    TensorRt,
    /// NVIDIA CUDA.
    Cuda,
    /// The processor; always there.
    Cpu,
}

impl Provider {
    /// All, the fastest first.
    pub const ALL: [Self; 3] = [Self::TensorRt, Self::Cuda, Self::Cpu];

    /// Its name in configurations and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::TensorRt => "tensorrt",
            Self::Cuda => "cuda",
            Self::Cpu => "cpu",
        }
    }

    /// The execution provider to register; `None` for the processor, which is always there.
    pub(super) fn dispatch(self, engines: Option<&Path>) -> Option<ExecutionProviderDispatch> {
        match self {
            Self::TensorRt => {
                let mut tensorrt = ort::ep::TensorRT::default();
                if let Some(folder) = engines {
                    let folder = folder.display();
                    tensorrt = tensorrt.with_engine_cache(true).with_engine_cache_path(&folder);
                    tensorrt = tensorrt.with_timing_cache(true).with_timing_cache_path(&folder);
                }
                Some(tensorrt.build().error_on_failure())
            }
            Self::Cuda => Some(ort::ep::CUDA::default().build().error_on_failure()),
            Self::Cpu => None,
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Provider {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|provider| provider.name() == name);
        known.ok_or_else(|| format!("inference provider is {name:?}, wanted tensorrt, cuda or cpu"))
    }
}
