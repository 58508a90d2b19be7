//! The daemon at the door: recorded or live pictures → verdicts → strike and display.
//!
//! ```text
//! camera ─▶ pipeline (capture ▶ vision ▶ keeper) ─▶ relay
//!                                          ├─▶ display
//!                                          └─▶ events
//! ```
//!
//! `main` only wires: everything that the program does can be driven from here. [`run`](mod@run) puts the parts
//! together as the program does; tests and rigs put them together as they need them.

pub mod camera;
pub mod check;
pub mod clock;
pub mod config;
pub mod display;
pub mod events;
pub mod health;
pub mod inputs;
pub mod journal;
pub mod link;
pub mod narrate;
pub mod pipeline;
pub mod relay;
pub mod run;
pub mod slots;
pub mod warmup;
