//! Workstation and device over real sockets: what works, every named attack, and what a network does.

mod attacks;
mod disks;
mod expiry;
mod journal;
mod namespaces;
mod network;
mod push;
mod verbs;

use std::path::Path;
use std::sync::OnceLock;

use lintel_tests::world::World;

/// The bundle that devices run at first.
fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| World::open(Path::new(env!("CARGO_TARGET_TMPDIR"))).expect("a bundle can be trained"))
}
