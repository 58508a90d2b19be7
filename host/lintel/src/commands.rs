//! One module per verb: checks its input, takes its output folder, calls the parts, says what came of it.

pub mod audit;
pub mod bench;
pub mod completions;
pub mod compute;
pub mod demo;
pub mod device;
pub mod evaluate;
pub mod export;
pub mod ingest;
pub mod keys;
pub mod learning;
pub mod packs;
pub mod push;
pub mod quantize;
pub mod render;
pub mod report;
pub mod runtime;
pub mod speaker;
pub mod table;
pub mod thresholds;
pub mod train;

pub use crate::use_cases::existing_folder;
