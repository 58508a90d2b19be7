//! Photos in, a bundle for the door out: the parts of the workstation program `lintel`.
//!
//! [`cli`] turns words into a request, a module of [`use_cases`] turns the request into an outcome, and [`console`]
//! turns the outcome into words. `main.rs` is one match on the verb that joins the three.

pub mod cli;
pub mod console;
pub mod use_cases;
