//! A seed → pictures of rendered people, with the ground truth of every face.
//!
//! Everything is a pure function of its seeds: the same call gives the same bytes. Rendering is single-threaded;
//! callers render several pictures in parallel.
//!
//! Conventions: pixels grow to the right and down, (0, 0) is the corner of the first pixel; head space is in cm, x to
//! the image's right, y up, z out of the face; see [`Pose`] for the signs of angles.

#![allow(clippy::cast_precision_loss)]

mod background;
mod camera;
mod canvas;
mod clothes;
mod eyes;
mod figure;
mod glasses;
mod hair;
mod head;
mod light;
mod mesh;
mod person;
mod photo;
mod picture;
mod population;
mod pose;
mod raster;
mod recording;
mod render;
mod rng;
mod scene;
mod shade;
mod skin;

pub use background::Background;
pub use camera::{Camera, jpeg};
pub use light::Light;
pub use person::{Beard, Brows, Eyes, Glasses, Hair, Person, Shape, Skin, Style, Traits};
pub use photo::{crowd, crowd_scene, photo, photo_scene};
pub use picture::{Picture, Truth};
pub use pose::Pose;
pub use recording::Approach;
pub use render::render;
pub use scene::{Expression, Gaze, Occluder, Placement, Scene};
