//! The daemon at the door: recorded or live pictures → decisions → strike and display.
//!
//! ```text
//! io::camera ─▶ pipeline (capture ▶ vision ▶ keeper) ─▶ io::relay
//!                                          ├─▶ io::display
//!                                          └─▶ events ─▶ audit_log, event file, console
//! link (workstations) ─▶ slots ─▶ pipeline, between two frames
//! ```
//!
//! `main` reads the command line; [`compose`] puts a run together from the settings. Tests and rigs put together the
//! parts that they need.

pub mod audit_log;
pub mod check;
pub mod compose;
pub mod config;
pub mod events;
pub mod health;
pub mod io;
pub mod link;
pub mod mailbox;
pub mod pipeline;
pub mod slots;
