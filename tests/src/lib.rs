//! What happens before the door → what the door does, on any rig.
//!
//! A scenario (`scenarios/*.toml`) says who comes, what goes wrong, and when the strike must be released. A rig plays it:
//! [`rigs::sim`] in this process in virtual time, [`rigs::vm`] in a machine of virtual devices. The people are procedural; the bundle that knows some of them is trained
//! once by [`world`] and kept until anything that it is made from changes.

pub mod clip_shapes;
mod engine;
pub mod formula;
pub mod near;
pub mod recordings;
pub mod rigs;
pub mod scenario;
pub mod torch_archive;
pub mod world;

pub use engine::{embed_tokens, run_bytes};
