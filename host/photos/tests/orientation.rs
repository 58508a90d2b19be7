//! Photos that the camera saved on their side: all eight EXIF orientations, in all three formats.

use std::io::Cursor;

use image::codecs::png::PngEncoder;
use image::codecs::webp::WebPEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ExtendedColorType, ImageEncoder, Rgb, RgbImage};
use lintel_photos::photos::decode;

/// Four quarters that make every orientation distinct.
fn upright() -> RgbImage {
    RgbImage::from_fn(64, 48, |x, y| match (x < 32, y < 24) {
        (true, true) => Rgb([230, 20, 20]),
        (false, true) => Rgb([20, 230, 20]),
        (true, false) => Rgb([20, 20, 230]),
        (false, false) => Rgb([230, 230, 230]),
    })
}

/// The TIFF structure that EXIF is: one entry, the orientation.
fn exif(value: u8) -> Vec<u8> {
    let mut chunk = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01".to_vec();
    chunk.extend([0, value, 0, 0, 0, 0, 0, 0]);
    chunk
}

/// `image` as a camera saves it so that `orientation` turns it upright.
fn as_saved(image: &RgbImage, orientation: Orientation) -> RgbImage {
    let inverse = match orientation {
        Orientation::Rotate90 => Orientation::Rotate270,
        Orientation::Rotate270 => Orientation::Rotate90,
        // The others are their own inverse.
        other => other,
    };
    let mut image = DynamicImage::ImageRgb8(image.clone());
    image.apply_orientation(inverse);
    image.into_rgb8()
}

fn jpeg(image: &RgbImage, exif: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut file, 95);
    encoder.encode(image, image.width(), image.height(), ExtendedColorType::Rgb8).unwrap();
    let length = u16::try_from(exif.len() + 8).unwrap().to_be_bytes();
    let segment = [&[0xff, 0xe1][..], &length, b"Exif\0\0", exif].concat();
    [&file[..2], &segment, &file[2..]].concat()
}

fn png(image: &RgbImage, exif: &[u8]) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let mut encoder = PngEncoder::new(&mut file);
    encoder.set_exif_metadata(exif.to_vec()).unwrap();
    encoder.write_image(image, image.width(), image.height(), ExtendedColorType::Rgb8).unwrap();
    file.into_inner()
}

fn webp(image: &RgbImage, exif: &[u8]) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let mut encoder = WebPEncoder::new_lossless(&mut file);
    encoder.set_exif_metadata(exif.to_vec()).unwrap();
    encoder.write_image(image, image.width(), image.height(), ExtendedColorType::Rgb8).unwrap();
    file.into_inner()
}

#[test]
fn every_orientation_is_turned_upright() {
    let wanted = upright();
    for value in 1..=8 {
        let saved = as_saved(&wanted, Orientation::from_exif(value).unwrap());
        let chunk = exif(value);
        for (format, bytes) in
            [("jpeg", jpeg(&saved, &chunk)), ("png", png(&saved, &chunk)), ("webp", webp(&saved, &chunk))]
        {
            let got = decode(&bytes).unwrap();
            assert_eq!(got.dimensions(), wanted.dimensions(), "{format} {value}");
            for (x, y) in [(10, 10), (50, 10), (10, 40), (50, 40)] {
                let near = got.get_pixel(x, y).0.iter().zip(wanted.get_pixel(x, y).0).all(|(a, b)| a.abs_diff(b) < 24);
                assert!(near, "{format} {value} at {x}, {y}");
            }
        }
    }
}

#[test]
fn orientations_that_do_not_exist_are_passed_over() {
    for value in [0, 9, 255] {
        assert_eq!(decode(&png(&upright(), &exif(value))).unwrap(), upright());
    }
    for cut in 0..exif(6).len() {
        // Damaged metadata must not cost the photo, whatever the decoder takes it for.
        assert!(decode(&jpeg(&upright(), &exif(6)[..cut])).is_ok(), "{cut}");
    }
}

#[test]
fn no_cut_jpeg_is_taken_for_a_whole_one() {
    let noisy = RgbImage::from_fn(160, 120, |x, y| Rgb([((x * 7) ^ (y * 13)) as u8, (x * y) as u8, (x + 3 * y) as u8]));
    let whole = jpeg(&noisy, &exif(1));
    assert!(decode(&whole).is_ok());
    for length in (0..whole.len()).step_by(37).chain([whole.len() - 2, whole.len() - 1]) {
        assert!(decode(&whole[..length]).is_err(), "{length} of {} bytes", whole.len());
    }
}

#[test]
fn what_a_phone_appends_to_a_jpeg_is_passed_over() {
    let whole = jpeg(&upright(), &exif(1));
    for appended in [&b"ftypmp42 a short film"[..], &whole, &whole[..whole.len() / 2]] {
        assert_eq!(decode(&[&whole, appended].concat()).unwrap(), decode(&whole).unwrap());
    }
}
