//! Photos in, a bundle for the door out: the parts of the workstation program `lintel`.
//!
//! `main.rs` is one match on the verb; each verb is a module of [`commands`], which parse nothing and draw nothing
//! themselves: they branch, the other modules compute.

pub mod cli;
pub mod commands;

// What every command stands on.
pub mod console;
pub mod failure;
pub mod interrupt;
mod kept;
pub mod outdir;

// People who do not exist.
pub mod rendered;
pub mod rendered_faces;
pub mod slides;

// Photos → aligned crops.
pub mod contact_sheet;
pub mod ingest;
pub mod people;
pub mod photos;

// Weights → trained table → bundle.
pub mod calibration_set;
mod embeddings;
pub mod export;
pub mod held_out;
pub mod onnx;
pub mod packs;
pub mod quantize;
pub mod strangers;
pub mod text_encoder;
pub mod tokenizer;
pub mod train;
pub mod trained;
pub mod weights;

// Bundle → devices at doors.
pub mod device;
pub mod site;

// Recordings and faces → figures → pages.
pub mod audit;
pub mod baselines;
pub mod evaluate;
pub mod integers_report;
pub mod picture;
pub mod plots;
pub mod report;
pub mod statistics;
pub mod visit_sheet;
pub mod visits;
