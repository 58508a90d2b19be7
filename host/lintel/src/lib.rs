//! Photos in, a bundle for the door out: the parts of the workstation program `lintel`.
//!
//! `main.rs` is one match on the verb; each verb is a module of [`commands`], which parse nothing and draw nothing
//! themselves: they branch, the crates below compute.

pub mod cli;
pub mod commands;
pub mod console;
pub mod slides;
