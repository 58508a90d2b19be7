//! The whole door over a trained bundle: stories, bundles that are not sound, the program under signals.

mod bundles;
mod daemon;
mod scenarios;

use std::path::Path;
use std::sync::OnceLock;

use lintel_tests::world::World;

/// The bundle that all tests share.
fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| World::open(Path::new(env!("CARGO_TARGET_TMPDIR"))).expect("the bundle is trained"))
}
