//! What happens before the door → what the door does, on any rig.
//!
//! A story (`stories/*.toml`) says who comes, what goes wrong, and when the strike must be released. A rig plays it:
//! [`rigs::sim`] in this process in virtual time, [`rigs::vm`] in a virtual machine with real drivers. The people are
//! rendered. [`world`] trains the bundle that knows some of them once, and keeps it until anything that it is made from
//! changes.

pub mod fixtures;
pub mod recordings;
pub mod rigs;
pub mod story;
pub mod world;
