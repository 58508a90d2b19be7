//! Ground-truth boxes → the anchors assigned to them: ATSS (Zhang et al. 2020).

/// Strides of the three levels.
pub const STRIDES: [usize; 3] = [8, 16, 32];
/// Anchor sides per stride: a base size times 1 and 2, as in SCRFD.
pub const SIDES: [[f32; 2]; 3] = [[16.0, 32.0], [64.0, 128.0], [256.0, 512.0]];
/// Candidates per level and box.
const CANDIDATES: usize = 9;

/// One anchor: centre, side, and the stride that is the unit of its distances.
#[derive(Clone, Copy, Debug)]
pub struct Anchor {
    /// Centre, pixels.
    pub x: f32,
    /// Centre, pixels.
    pub y: f32,
    /// Side, pixels.
    pub side: f32,
    /// Pixels per unit of distance.
    pub stride: f32,
}

/// x1, y1, x2, y2 in pixels.
pub type Corners = [f32; 4];

/// All anchors of a square image: level by level, row by row, two per cell, as the published models order them.
pub fn anchors(width: usize, height: usize) -> Vec<Anchor> {
    let mut all = Vec::new();
    for (stride, sides) in STRIDES.into_iter().zip(SIDES) {
        for y in 0..height / stride {
            for x in 0..width / stride {
                for side in sides {
                    all.push(Anchor { x: (x * stride) as f32, y: (y * stride) as f32, side, stride: stride as f32 });
                }
            }
        }
    }
    all
}

/// Intersection over union.
pub fn iou(a: &Corners, b: &Corners) -> f32 {
    let width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
    let height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    let area = |r: &Corners| (r[2] - r[0]).max(0.0) * (r[3] - r[1]).max(0.0);
    let both = width * height;
    both / (area(a) + area(b) - both).max(1e-6)
}

/// For each anchor the box that it is assigned to, if any.
///
/// Per box: the `CANDIDATES` anchors nearest to its centre on each level; of those, the ones whose overlap reaches the
/// candidates' mean plus standard deviation and whose centre lies inside the box. An anchor that suits two boxes takes
/// the one that it overlaps more.
pub fn assign(anchors: &[Anchor], boxes: &[Corners]) -> Vec<Option<usize>> {
    let mut owner: Vec<Option<(usize, f32)>> = vec![None; anchors.len()];
    for (index, gt) in boxes.iter().enumerate() {
        let (cx, cy) = ((gt[0] + gt[2]) / 2.0, (gt[1] + gt[3]) / 2.0);
        let mut candidates: Vec<(usize, f32)> = Vec::new();
        for stride in STRIDES {
            let mut level: Vec<(usize, f32)> = anchors
                .iter()
                .enumerate()
                .filter(|(_, a)| a.stride == stride as f32)
                .map(|(i, a)| (i, (a.x - cx).powi(2) + (a.y - cy).powi(2)))
                .collect();
            let count = CANDIDATES.min(level.len());
            if count < level.len() {
                level.select_nth_unstable_by(count - 1, |a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
            }
            candidates.extend(level[..count].iter().map(|&(i, _)| (i, iou(&square(&anchors[i]), gt))));
        }
        let n = candidates.len().max(1) as f32;
        let mean = candidates.iter().map(|c| c.1).sum::<f32>() / n;
        let variance = candidates.iter().map(|c| (c.1 - mean).powi(2)).sum::<f32>() / (n - 1.0).max(1.0);
        let threshold = mean + variance.sqrt();
        for (i, overlap) in candidates {
            let a = &anchors[i];
            let edge = (a.x - gt[0]).min(a.y - gt[1]).min(gt[2] - a.x).min(gt[3] - a.y);
            let better = owner[i].is_none_or(|(_, other)| overlap > other);
            if overlap >= threshold && edge > 0.01 && better {
                owner[i] = Some((index, overlap));
            }
        }
    }
    owner.into_iter().map(|o| o.map(|(index, _)| index)).collect()
}

fn square(a: &Anchor) -> Corners {
    let half = a.side / 2.0;
    [a.x - half, a.y - half, a.x + half, a.y + half]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_anchors_are_the_published_ones() {
        let all = anchors(640, 480);
        assert_eq!(all.len(), 2 * (80 * 60 + 40 * 30 + 20 * 15));
        assert_eq!((all[3].x, all[3].y, all[3].side), (8.0, 0.0, 32.0));
    }

    #[test]
    fn a_face_is_answered_for_on_the_level_of_its_size() {
        let all = anchors(256, 256);
        for (side, stride) in [(16.0, 8.0), (30.0, 8.0), (60.0, 16.0), (130.0, 16.0), (240.0, 32.0)] {
            let gt = [128.0 - side / 2.0, 128.0 - side / 2.0, 128.0 + side / 2.0, 128.0 + side / 2.0];
            let taken: Vec<f32> =
                assign(&all, &[gt]).iter().zip(&all).filter(|(o, _)| o.is_some()).map(|(_, a)| a.stride).collect();
            assert!(!taken.is_empty() && taken.iter().all(|&s| s == stride), "{side}: {taken:?}");
        }
    }

    #[test]
    fn two_faces_share_no_anchor_and_no_face_takes_none() {
        let all = anchors(256, 256);
        let owners = assign(&all, &[[40.0, 40.0, 100.0, 110.0], [70.0, 50.0, 130.0, 120.0]]);
        assert!(owners.contains(&Some(0)) && owners.contains(&Some(1)));
        assert!(assign(&all, &[]).iter().all(Option::is_none));
    }

    #[test]
    fn overlap_by_hand() {
        for (a, b, wanted) in [
            ([0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 2.0], 1.0),
            ([0.0, 0.0, 2.0, 2.0], [1.0, 0.0, 3.0, 2.0], 1.0 / 3.0),
            ([0.0, 0.0, 1.0, 1.0], [2.0, 2.0, 3.0, 3.0], 0.0),
        ] {
            assert!((iou(&a, &b) - wanted).abs() < 1e-6);
        }
    }
}
