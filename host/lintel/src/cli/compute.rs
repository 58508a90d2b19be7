//! What is chosen about where training runs.

use clap::Args;
use lintel_clip::text_encoder::MatmulPrecision;
use lintel_training::Compute;

/// Where and how exactly to train.
#[derive(Debug, Clone, Default, Args)]
pub struct ComputeArgs {
    /// Device that training runs on; training does not fall back to another one
    #[arg(long, value_enum, default_value_t = ComputeArg::Cpu)]
    pub device: ComputeArg,
    /// Precision of the factors in the text encoder's linear layers; weights, sums and the optimiser are always f32
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
    /// An NVIDIA GPU, for programs built with `--features lintel/cuda`.
    Cuda,
}

/// Precision of the factors in linear layers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum PrecisionArg {
    /// Single precision.
    #[default]
    F32,
    /// 8 bits of precision, if the device has it: less exact, and faster on a GPU with matrix units.
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
