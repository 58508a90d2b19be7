//! An archive that `torch.save` or `torch.jit.save` wrote → named f32 tensors.
//!
//! The archive is a zip with one folder: `data.pkl` describes the objects, `data/KEY` holds the bytes of each storage.
//! Nothing in it is executed: [`pickle`] is a machine for the opcodes that PyTorch writes and the few classes that
//! tensors are made of. A class of TorchScript (`__torch__.*`) is a name for a bag of attributes; anything else that
//! a pickle names is an error.

mod archive;
mod pickle;
mod state;

use super::NamedTensors;
use super::WeightsError;
use archive::Archive;

/// Why an archive was refused.
#[derive(Debug, thiserror::Error)]
pub enum TorchError {
    /// The zip structure is damaged.
    #[error("the zip archive is damaged: {0}")]
    Zip(String),
    /// The zip is whole, and not of PyTorch's form.
    #[error("{0}")]
    Form(String),
    /// A part of the archive is not as it should be.
    #[error("{entry} {what}")]
    Entry {
        /// The part's name.
        entry: String,
        /// What is wrong, with got and wanted.
        what: String,
    },
    /// The pickle is cut short, uses an opcode that PyTorch doesn't, or doesn't fit together.
    #[error("data.pkl, byte {at}: {what}")]
    Pickle {
        /// Offset of the opcode.
        at: usize,
        /// What is wrong.
        what: String,
    },
    /// The pickle names something that weights are not made of, and that loading it elsewhere would run.
    #[error(
        "data.pkl names {name}, which is no part of a tensor; nothing was run; wanted a state dict or a \
        TorchScript module"
    )]
    Forbidden {
        /// Module and name.
        name: String,
    },
    /// A tensor doesn't fit its storage.
    #[error("tensor {name} {what}")]
    Tensor {
        /// The tensor's name.
        name: String,
        /// What is wrong, with got and wanted.
        what: String,
    },
}

/// Reads an archive whose bytes start like a zip's.
pub(super) fn read(bytes: &[u8]) -> Result<NamedTensors, WeightsError> {
    let mut archive = Archive::open(bytes)?;
    let data = archive.pickle()?;
    let pickle = pickle::run(&data)?;
    let tensors = state::named(&pickle)?;
    state::load(&tensors, &mut archive)
}
