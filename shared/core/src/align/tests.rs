use super::*;
use crate::time::Uptime;
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;

const NOT_A_PLACE: Point = Point::new(f32::NAN, 0.0);

fn moved(scale: f32, angle: f32, shift: Point) -> [Point; 5] {
    let (sin, cos) = (libm::sinf(angle), libm::cosf(angle));
    TEMPLATE.map(|p| Point::new(scale * (cos * p.x - sin * p.y) + shift.x, scale * (sin * p.x + cos * p.y) + shift.y))
}

#[test]
fn only_landmarks_with_a_direction_are_taken() {
    let check = |landmarks: [Point; 5], taken: bool| {
        assert_eq!(crop_transform(&landmarks).is_ok(), taken, "{landmarks:?}: {:?}", crop_transform(&landmarks));
    };
    let at = |x: f32, y: f32| Point::new(x, y);
    check(TEMPLATE, true);
    check(moved(0.1, 0.5, at(-50.0, 7.0)), true);
    check(moved(30.0, 3.0, at(0.0, 0.0)), true);
    // On one line there still is a direction.
    check([at(0.0, 0.0), at(10.0, 0.0), at(5.0, 0.0), at(1.0, 0.0), at(9.0, 0.0)], true);
    check([at(0.0, 0.0); 5], false);
    check([at(8000.0, 0.1); 5], false);
    check(moved(0.01, 0.0, at(100.0, 100.0)), false);
    // A cross around its middle fits every rotation equally badly.
    check([at(-3e3, 0.0), at(3e3, 0.0), at(0.0, 0.0), at(3e3, 0.1), at(-3e3, 0.1)], false);
    check([at(0.0, 0.0), at(f32::INFINITY, 0.0), at(0.0, 0.0), at(0.0, 0.0), at(0.0, 0.0)], false);
    check([at(3e38, 3e38), at(-3e38, -3e38), at(3e38, 0.0), at(0.0, 0.0), at(0.0, 1.0)], false);
    let mut broken = TEMPLATE;
    broken[3] = NOT_A_PLACE;
    assert_eq!(crop_transform(&broken), Err(AlignError::NotFinite { index: 3 }));
}

proptest! {
    #[test]
    fn any_upright_face_comes_to_the_template(
        scale in 0.05f32..20.0, angle in -3.1f32..3.1, x in -2000f32..2000.0, y in -2000f32..2000.0,
    ) {
        let landmarks = moved(scale, angle, Point::new(x, y));
        let transform = crop_transform(&landmarks).expect("a face of useful size");
        prop_assert!((transform.scale() * scale - 1.0).abs() < 1e-3);
        for (p, q) in landmarks.iter().zip(&TEMPLATE) {
            prop_assert!(transform.apply(*p).distance(*q) < 0.1, "{:?} {q:?}", transform.apply(*p));
            let back = transform.inverse().expect("a scale above 0").apply(*q);
            prop_assert!(back.distance(*p) < 0.1 * scale.max(1.0), "{back:?} {p:?}");
        }
    }

    #[test]
    fn no_other_transform_fits_better(
        noise in prop::array::uniform5((-20f32..20.0, -20f32..20.0)), change in prop::array::uniform4(-1f32..1.0),
    ) {
        let mut landmarks = TEMPLATE;
        for (p, (x, y)) in landmarks.iter_mut().zip(noise) {
            *p = Point::new(p.x + x, p.y + y);
        }
        let best = crop_transform(&landmarks).expect("a face of useful size");
        let error = |t: &SimilarityTransform| -> f32 {
            landmarks.iter().zip(&TEMPLATE).map(|(p, q)| t.apply(*p).distance(*q).powi(2)).sum()
        };
        let other = SimilarityTransform {
            a: best.a + change[0] * 0.05,
            b: best.b + change[1] * 0.05,
            tx: best.tx + change[2],
            ty: best.ty + change[3],
        };
        prop_assert!(error(&best) <= error(&other) + 0.05);
    }
}

/// The same mapping in f64, one pixel at a time: what `warp` must come close to.
fn reference(pixels: &[u8], size: (u32, u32), transform: &SimilarityTransform, place: (usize, usize)) -> [f64; 3] {
    let inverse = transform.inverse().expect("a scale above 0");
    let taps = f64::from(inverse.scale()).round().max(1.0) as usize;
    let mut sum = [0.0; 3];
    for (i, j) in (0..taps * taps).map(|k| (k % taps, k / taps)) {
        let offset = |k: usize| (k as f64 + 0.5) / taps as f64 - 0.5;
        let (u, v) = (place.0 as f64 + offset(i), place.1 as f64 + offset(j));
        let x = f64::from(inverse.a) * u - f64::from(inverse.b) * v + f64::from(inverse.tx);
        let y = f64::from(inverse.b) * u + f64::from(inverse.a) * v + f64::from(inverse.ty);
        for (dx, dy) in [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)] {
            let (px, py) = (x.floor() + dx, y.floor() + dy);
            let weight = (1.0 - (x - px).abs()) * (1.0 - (y - py).abs());
            if px >= 0.0 && py >= 0.0 && px < f64::from(size.0) && py < f64::from(size.1) {
                let at = (py as usize * size.0 as usize + px as usize) * 3;
                sum.iter_mut().zip(&pixels[at..at + 3]).for_each(|(sum, &byte)| *sum += weight * f64::from(byte));
            }
        }
    }
    sum.map(|sum| sum / (taps * taps) as f64)
}

#[test]
fn warp_is_the_mapping_that_it_says() {
    let size = (301u32, 203u32);
    // Smooth, so that a coordinate that is off by 1/256 pixel is no more than a grey level.
    let pixels: Vec<u8> = (0..size.1)
        .flat_map(|y| (0..size.0).flat_map(move |x| [(x * 3 / 4) as u8, y as u8, ((x + y) / 3) as u8]))
        .collect();
    let frame = Frame::rgb8(&pixels, size.0, size.1, Uptime::ZERO).expect("a valid frame");
    let check = |landmarks: [Point; 5]| {
        let transform = crop_transform(&landmarks).expect("a face of useful size");
        let mut crop = vec![0xaa; CROP_BYTES];
        warp(&frame, &transform, &mut crop);
        for (i, pixel) in crop.chunks(3).enumerate() {
            let wanted = reference(&pixels, size, &transform, (i % 224, i / 224));
            for (&got, wanted) in pixel.iter().zip(wanted) {
                // The border falls from full brightness to black within a pixel.
                assert!((f64::from(got) - wanted).abs() < 2.5, "{transform:?} {i}: {pixel:?} {wanted}");
            }
        }
    };
    check(TEMPLATE);
    check(moved(0.5, 0.3, Point::new(60.0, 20.0)));
    check(moved(0.9, -2.0, Point::new(160.0, 180.0)));
    check(moved(1.3, 0.1, Point::new(-10.0, -20.0)));
    check(moved(2.5, -0.2, Point::new(-200.0, -100.0)));
    check(moved(0.7, 0.0, Point::new(-1000.0, 0.0)));
    check(moved(1.0, 0.0, Point::new(0.5, 200.0)));
}

#[test]
fn warp_is_the_same_bytes_everywhere() {
    let pixels: Vec<u8> = (0..320u32 * 240 * 3).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let frame = Frame::rgb8(&pixels, 320, 240, Uptime::ZERO).expect("a valid frame");
    let sums = [(1.0, 0.0, 0.0, 0.0), (1.5, 0.5, -30.0, -100.0), (0.4, -0.1, 40.0, 60.0)].map(|(a, b, tx, ty)| {
        let mut crop = vec![0; CROP_BYTES];
        warp(&frame, &SimilarityTransform { a, b, tx, ty }, &mut crop);
        crop.iter().fold(0u32, |sum, &byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)))
    });
    assert_eq!(sums, [3_955_670_196, 754_201_199, 2_610_019_274]);
}

#[test]
fn a_transform_to_nowhere_is_black() {
    let frame = Frame::rgb8(&[255; 3], 1, 1, Uptime::ZERO).expect("a valid frame");
    let check = |a: f32, tx: f32| {
        let mut crop = vec![0xaa; CROP_BYTES];
        warp(&frame, &SimilarityTransform { a, b: 0.0, tx, ty: 0.0 }, &mut crop);
        assert!(crop.iter().all(|&byte| byte == 0), "{a} {tx}");
    };
    check(0.0, 0.0);
    check(f32::NAN, 0.0);
    check(1.0, f32::INFINITY);
    check(1.0, 1e9);
    check(1e-30, 1e9);
}
