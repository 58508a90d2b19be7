//! What is chosen about where training runs.

use clap::Args;
use lintel_clip::text_encoder::MatmulPrecision;
use lintel_training::Compute;

/// Where and how exactly to train.
#[derive(Debug, Clone, Default, Args)]
pub struct ComputeArgs {
    /// Where training runs. Nothing else is used instead of it: a GPU that is not there is an error
    #[arg(long, value_enum, default_value_t = ComputeArg::Cpu)]
    pub device: ComputeArg,
    /// Of what the text encoder's linear layers multiply; weights, sums and the optimiser are f32 in any case
    #[arg(long, value_enum, default_value_t = PrecisionArg::F32)]
    pub precision: PrecisionArg,
}

/// Where training runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ComputeArg {
    /// The processor.
    #[default]
    Cpu,
    /// A GPU with a Vulkan driver, for programs built with `--features lintel/vulkan`.
    Vulkan,
    /// A GPU of NVIDIA's, for programs built with `--features lintel/cuda`.
    Cuda,
}

/// Of what linear layers multiply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum PrecisionArg {
    /// Single precision.
    #[default]
    F32,
    /// 8 bits of precision, where the device can: less exact, and faster on a GPU with matrix units.
    Bf16,
}

impl ComputeArgs {
    /// The device that training runs on.
    #[must_use]
    pub const fn compute(&self) -> Compute {
        match self.device {
            ComputeArg::Cpu => Compute::Cpu,
            ComputeArg::Vulkan => Compute::Vulkan,
            ComputeArg::Cuda => Compute::Cuda,
        }
    }

    /// How exactly.
    #[must_use]
    pub const fn precision(&self) -> MatmulPrecision {
        match self.precision {
            PrecisionArg::F32 => MatmulPrecision::F32,
            PrecisionArg::Bf16 => MatmulPrecision::Bf16,
        }
    }
}
