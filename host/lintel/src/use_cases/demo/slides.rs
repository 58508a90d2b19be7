//! Photos that training did not see → a recording, as if they were held before the camera: a slow zoom over each.
//!
//! For the demo with someone's own photos, when there is no camera.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, crop_imm, resize};
use image::{ExtendedColorType, ImageEncoder, Rgb, RgbImage};

/// How a recording is made of photos.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Slides {
    /// Width and height of the frames, px.
    pub size: [u32; 2],
    /// Frames a second.
    pub fps: u32,
    /// Length.
    pub seconds: f32,
}

/// As a network camera sends them.
const QUALITY: u8 = 85;
/// What is seen before anyone comes, and around a photo of another shape.
const WALL: Rgb<u8> = Rgb([118, 122, 126]);
/// The last frame of a photo shows this part of its width.
const ZOOM: f64 = 0.85;

impl Slides {
    /// The frames as JPEG files: the wall for a tenth of the time, then each photo for its share.
    #[must_use]
    pub(super) fn frames(&self, photos: &[RgbImage]) -> Vec<Vec<u8>> {
        let count = (self.fps as f32 * self.seconds).round().max(1.0) as usize;
        let empty = count / 10;
        (0..count)
            .map(|index| {
                let photo = (index.checked_sub(empty)).and_then(|shown| {
                    let place = shown as f64 / (count - empty) as f64 * photos.len() as f64;
                    photos.get(place as usize).map(|photo| (photo, place.fract()))
                });
                self.frame(photo)
            })
            .collect()
    }

    fn frame(&self, photo: Option<(&RgbImage, f64)>) -> Vec<u8> {
        let [width, height] = self.size;
        let mut frame = RgbImage::from_pixel(width, height, WALL);
        if let Some((photo, progress)) = photo {
            let zoom = 1.0 - (1.0 - ZOOM) * progress;
            let side = |length: u32| ((f64::from(length) * zoom).round() as u32).clamp(1, length);
            let (w, h) = (side(photo.width()), side(photo.height()));
            let part = crop_imm(photo, (photo.width() - w) / 2, (photo.height() - h) / 2, w, h).to_image();
            let scale = (f64::from(width) / f64::from(w)).min(f64::from(height) / f64::from(h));
            let fit = |length: u32, most: u32| ((f64::from(length) * scale).round() as u32).clamp(1, most);
            let part = resize(&part, fit(w, width), fit(h, height), FilterType::Triangle);
            let (x, y) = ((width - part.width()) / 2, (height - part.height()) / 2);
            image::imageops::replace(&mut frame, &part, x.into(), y.into());
        }
        let mut jpeg = Cursor::new(Vec::new());
        JpegEncoder::new_with_quality(&mut jpeg, QUALITY)
            .write_image(frame.as_raw(), width, height, ExtendedColorType::Rgb8)
            .expect("the frame has its own size, and memory takes every byte");
        jpeg.into_inner()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn photos_of_any_shape_fill_a_recording() {
        let slides = Slides { size: [64, 48], fps: 10, seconds: 2.0 };
        let photos = [RgbImage::from_pixel(300, 40, Rgb([250, 0, 0])), RgbImage::from_pixel(33, 500, Rgb([0, 0, 250]))];
        let frames = slides.frames(&photos);
        assert_eq!(frames.len(), 20);
        let middle = |index: usize| {
            let frame = image::load_from_memory(&frames[index]).unwrap().into_rgb8();
            assert_eq!(frame.dimensions(), (64, 48));
            frame.get_pixel(32, 24).0.map(|value| value / 64)
        };
        assert_eq!([middle(0), middle(5), middle(19)], [[1, 1, 1], [3, 0, 0], [0, 0, 3]]);
    }
}
