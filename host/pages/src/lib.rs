//! Results → canvases with text, charts, and HTML documents that stand alone.

pub mod html;
pub mod picture;
pub mod plots;
