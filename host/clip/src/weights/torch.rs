//! An archive that `torch.save` or `torch.jit.save` wrote → named f32 tensors.
//!
//! The archive is a zip with one folder: `data.pkl` describes the objects, `data/KEY` holds the bytes of each storage.
//! Nothing in it is executed: [`pickle`] interprets the opcodes that PyTorch writes and the few classes of which
//! tensors are made. A class of TorchScript (`__torch__.*`) is a name for a set of attributes. Any other name in a
//! pickle is an error.

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
    /// The zip is intact, but does not have PyTorch's form.
    #[error("{0}")]
    Form(String),
    /// A part of the archive is wrong.
    #[error("{entry} {what}")]
    Entry {
        /// The part's name.
        entry: String,
        /// What is wrong, with got and wanted.
        what: String,
    },
    /// The pickle is cut short, has an opcode that PyTorch does not use, or is inconsistent.
    #[error("data.pkl, byte {at}: {what}")]
    Pickle {
        /// Offset of the opcode.
        at: usize,
        /// What is wrong.
        what: String,
    },
    /// The pickle names something that is not part of a tensor; loading it elsewhere would run it.
    #[error(
        "data.pkl names {name}, which is no part of a tensor; nothing was run; wanted a state dict or a \
        TorchScript module"
    )]
    Forbidden {
        /// Module and name.
        name: String,
    },
    /// A tensor does not fit its storage.
    #[error("tensor {name} {what}")]
    Tensor {
        /// The tensor's name.
        name: String,
        /// What is wrong, with got and wanted.
        what: String,
    },
}

/// Reads an archive whose first bytes are those of a zip.
pub(super) fn read(bytes: &[u8]) -> Result<NamedTensors, WeightsError> {
    let mut archive = Archive::open(bytes)?;
    let data = archive.pickle()?;
    let pickle = pickle::run(&data)?;
    let tensors = state::named(&pickle)?;
    state::load(&tensors, &mut archive)
}
