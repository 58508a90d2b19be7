//! A scenario → what was observed. One module for each kind of door.

pub mod link;
pub mod programs;
pub mod sim;
pub mod vm;
