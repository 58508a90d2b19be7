//! What the daemon reads from and writes to outside of itself, each behind a trait that tests implement in memory.

pub mod camera;
pub mod clock;
pub mod disk;
pub mod display;
pub mod gpio;
pub mod relay;
