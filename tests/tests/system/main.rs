//! The whole system over one trained bundle: stories at the door, the daemon under signals, a workstation and devices
//! over real sockets, and every named attack on them.

mod attacks;
mod bundles;
mod contents;
mod daemon;
mod evaluation;
mod link;
mod stories;
mod virtual_machine;

use std::path::Path;
use std::sync::OnceLock;

use lintel_tests::world::World;

/// The bundle that all tests share.
fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| World::open(Path::new(env!("CARGO_TARGET_TMPDIR"))).expect("the bundle is trained"))
}
