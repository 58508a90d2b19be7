//! Boxes of one frame, boxes of the next → which goes on as which.

use heapless::Vec;

use crate::geometry::Rect;

/// Most faces of one frame that are looked at, and most tracks at once.
pub const MAX_SEEN: usize = 8;
/// A face does not grow or shrink by more than this factor from one frame to the next.
const MAX_GROWTH: f32 = 2.0;

/// When two boxes of neighbouring frames may be the same face.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nearness {
    /// Overlap (intersection over union) that is enough: 0 < `min_iou` ≤ 1.
    pub min_iou: f32,
    /// Boxes that overlap less go together if their centres are nearer than this many box sizes: ≥ 0.
    pub max_shift: f32,
}

/// For each box of `after`, the index in `before` that it continues, greedily: the best pair first. `None`: a new face.
/// At most `N` boxes of `after` are looked at.
#[must_use]
pub fn follow<const N: usize>(before: &[Rect], after: &[Rect], nearness: Nearness) -> Vec<Option<usize>, N> {
    let mut assigned: Vec<Option<usize>, N> = after.iter().take(N).map(|_| None).collect();
    loop {
        let mut best: Option<(f32, usize, usize)> = None;
        for (from, old) in before.iter().enumerate().filter(|(from, _)| !assigned.contains(&Some(*from))) {
            for (to, new) in after.iter().enumerate().take(N).filter(|(to, _)| assigned[*to].is_none()) {
                let Some(affinity) = affinity(old, new, nearness) else { continue };
                if best.is_none_or(|(most, ..)| affinity > most) {
                    best = Some((affinity, to, from));
                }
            }
        }
        let Some((_, to, from)) = best else { return assigned };
        assigned[to] = Some(from);
    }
}

/// How well two boxes of neighbouring frames go together: overlapping ones above 1, merely near ones below.
fn affinity(before: &Rect, after: &Rect, nearness: Nearness) -> Option<f32> {
    if !before.is_finite() || !after.is_finite() {
        return None;
    }
    let iou = before.iou(after);
    if iou >= nearness.min_iou {
        return Some(1.0 + iou);
    }
    let side = |rect: &Rect| (rect.width() + rect.height()) / 2.0;
    let (smaller, larger) = (side(before).min(side(after)), side(before).max(side(after)));
    let shift = before.centre().distance(after.centre()) / smaller;
    let near = larger <= smaller * MAX_GROWTH && shift <= nearness.max_shift;
    near.then(|| 1.0 / (1.0 + shift))
}
