use super::*;
use alloc::{vec, vec::Vec};
use proptest::prelude::*;

const INPUT: (u32, u32) = (64, 32);

/// Outputs of a network that sees nothing, to be changed at will.
struct Outputs([(Vec<f32>, Vec<f32>, Vec<f32>); 3]);

impl Outputs {
    fn blank() -> Self {
        Self(STRIDES.map(|stride| {
            let n = rows(INPUT, stride);
            (vec![0.0; n], vec![1.0; n * 4], vec![0.0; n * 10])
        }))
    }

    fn decode(&self) -> Result<Faces, DetectError> {
        let mut strides = STRIDES.into_iter();
        let levels = self.0.each_ref().map(|(scores, boxes, landmarks)| Level {
            stride: strides.next().expect("as many strides as levels"),
            scores,
            boxes,
            landmarks,
        });
        decode(&levels, INPUT, &Letterbox::new((128, 64), INPUT), &Limits::default())
    }
}

#[test]
fn an_anchor_becomes_a_face() {
    let check = |level: usize, row: usize, expected: Rect| {
        let mut outputs = Outputs::blank();
        outputs.0[level].0[row] = 0.75;
        let faces = outputs.decode().expect("finite outputs");
        assert_eq!(faces.len(), 1, "level {level} row {row}");
        assert_eq!((faces[0].bbox, faces[0].score), (expected, 0.75), "level {level} row {row}");
    };
    // The frame is twice the input, and a place p in the input is (p + 0.5) · 2 − 0.5 in the frame.
    check(0, 0, Rect::new(-15.5, -15.5, 16.5, 16.5));
    check(0, 1, Rect::new(-15.5, -15.5, 16.5, 16.5));
    check(0, 2, Rect::new(0.5, -15.5, 32.5, 16.5));
    check(0, 2 * 8, Rect::new(-15.5, 0.5, 16.5, 32.5));
    check(2, 3, Rect::new(0.5, -63.5, 128.5, 64.5));
}

#[test]
fn landmarks_are_offsets_in_strides() {
    let mut outputs = Outputs::blank();
    outputs.0[1].0[4] = 0.9;
    let offsets = [-1.0, -0.5, 1.0, -0.5, 0.0, 0.0, -0.5, 0.5, 0.5, 0.75];
    outputs.0[1].2[40..50].copy_from_slice(&offsets);
    let faces = outputs.decode().expect("finite outputs");
    let expected = offsets
        .chunks(2)
        .map(|o| Point::new((32.0 + o[0] * 16.0 + 0.5) * 2.0 - 0.5, (0.0 + o[1] * 16.0 + 0.5) * 2.0 - 0.5));
    assert_eq!(faces[0].landmarks.to_vec(), expected.collect::<Vec<_>>());
}

#[test]
fn hostile_outputs_are_errors_or_nothing() {
    let check = |change: &dyn Fn(&mut Outputs), expected: Result<usize, DetectError>| {
        let mut outputs = Outputs::blank();
        outputs.0[0].0[5] = 0.6;
        change(&mut outputs);
        assert_eq!(outputs.decode().map(|faces| faces.len()), expected);
    };
    let not_finite = |stride, row, output| Err(DetectError::NotFinite { stride, row, output });
    check(&|_| {}, Ok(1));
    check(&|o| o.0[0].0[5] = 0.49, Ok(0));
    check(&|o| o.0[0].0[9] = f32::NAN, not_finite(8, 9, "scores"));
    check(&|o| o.0[2].0[1] = f32::INFINITY, not_finite(32, 1, "scores"));
    check(&|o| o.0[0].0[9] = f32::NEG_INFINITY, Ok(1));
    check(&|o| o.0[0].1[20] = f32::NAN, not_finite(8, 5, "boxes"));
    check(&|o| o.0[0].1[20] = 1e30, not_finite(8, 5, "boxes"));
    check(&|o| o.0[0].1[24] = f32::NAN, Ok(1));
    check(&|o| o.0[0].2[59] = f32::NEG_INFINITY, not_finite(8, 5, "landmarks"));
    check(&|o| o.0[0].1[20..24].fill(-1.0), Ok(0));
    check(&|o| o.0[0].1[20..24].fill(0.0), Ok(0));
    let length = |stride, output, got, wanted| Err(DetectError::Length { stride, output, got, wanted });
    check(&|o| o.0[0].0.truncate(63), length(8, "scores", 63, 64));
    check(&|o| o.0[1].1.clear(), length(16, "boxes", 0, 64));
    check(&|o| o.0[2].2.push(0.0), length(32, "landmarks", 41, 40));
}

#[test]
fn inputs_are_multiples_of_the_coarsest_stride() {
    let check = |input: (u32, u32), fits: bool| assert_eq!(check_input(input).is_ok(), fits, "{input:?}");
    check((640, 480), true);
    check((32, 8192), true);
    check((0, 32), false);
    check((640, 470), false);
    check((8224, 32), false);
}

#[test]
fn a_flood_of_candidates_is_bounded() {
    let input = (2048, 2048);
    let outputs = STRIDES.map(|stride| {
        let n = rows(input, stride);
        let scores: Vec<f32> = (0..n).map(|i| 0.5 + (i * 7919 % 1000) as f32 / 2000.0).collect();
        (scores, vec![0.4; n * 4], vec![0.0; n * 10])
    });
    let mut strides = STRIDES.into_iter();
    let levels = outputs.each_ref().map(|(scores, boxes, landmarks)| Level {
        stride: strides.next().expect("as many strides as levels"),
        scores,
        boxes,
        landmarks,
    });
    let faces = decode(&levels, input, &Letterbox::new(input, input), &Limits::default()).expect("finite outputs");
    assert_eq!(faces.len(), MAX_FACES);
    assert!(faces.iter().all(|face| face.score > 0.99), "the best ones are kept");
    assert!(faces.is_sorted_by(|a, b| a.score >= b.score));
}

fn face() -> impl Strategy<Value = Face> {
    (0u8..20, 0u8..20, 1u8..20, 1u8..20, 0u8..4).prop_map(|(x, y, width, height, score)| {
        let [x, y, width, height] = [x, y, width, height].map(f32::from);
        Face {
            bbox: Rect::new(x, y, x + width, y + height),
            score: 0.5 + f32::from(score) / 10.0,
            landmarks: [Point::new(x, y); 5],
        }
    })
}

proptest! {
    #[test]
    fn suppression_does_not_depend_on_the_order(
        (mut faces, mut shuffled) in prop::collection::vec(face(), 0..40)
            .prop_flat_map(|faces| (Just(faces.clone()), Just(faces).prop_shuffle())),
        max_iou in 0.0f32..1.0,
    ) {
        prop_assert_eq!(suppress(&mut faces, max_iou), suppress(&mut shuffled, max_iou));
    }

    #[test]
    fn kept_faces_do_not_overlap_and_dropped_ones_do(
        mut faces in prop::collection::vec(face(), 0..40), max_iou in 0.0f32..1.0,
    ) {
        let kept = suppress(&mut faces, max_iou);
        for (i, a) in kept.iter().enumerate() {
            for b in &kept[i + 1..] {
                prop_assert!(a.bbox.iou(&b.bbox) <= max_iou);
                prop_assert!(a.score >= b.score);
            }
        }
        for face in &faces {
            prop_assert!(kept.contains(face) || kept.iter().any(|k| k.bbox.iou(&face.bbox) > max_iou));
        }
    }

    #[test]
    fn decode_never_panics(scores in prop::collection::vec(any::<f32>(), 64), numbers in any::<[f32; 14]>()) {
        let mut outputs = Outputs::blank();
        outputs.0[0].0.copy_from_slice(&scores);
        for row in 0..64 {
            outputs.0[0].1[row * 4..][..4].copy_from_slice(&numbers[..4]);
            outputs.0[0].2[row * 10..][..10].copy_from_slice(&numbers[4..]);
        }
        if let Ok(faces) = outputs.decode() {
            for face in &faces {
                prop_assert!(face.bbox.is_finite() && face.landmarks.iter().all(|p| p.is_finite()));
            }
        }
    }
}
