//! The base of every command: failures in one line, Ctrl-C, output folders that are whole or not there, the user's
//! folders, kept results.

pub mod failure;
pub mod interrupt;
pub mod kept;
pub mod outdir;
pub mod places;
pub mod progress;
