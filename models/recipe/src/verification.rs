//! Unit features of people who were not trained on → verification and identification accuracy.

use crate::rng::Rng;

/// People that one draw of [`open_set`] takes: 10 enrolled, 4 strangers.
pub const JUDGED_BY: usize = 14;

/// The verification accuracy of a set of features.
#[derive(Clone, Copy, Debug)]
pub struct Verification {
    /// Share of mated pairs above the threshold that one in a thousand non-mated pairs passes.
    pub tpr_at_1e3: f32,
    /// Mean similarity of mated pairs.
    pub same: f32,
    /// Mean similarity of non-mated pairs.
    pub different: f32,
    /// Similarity that one in a thousand non-mated pairs passes.
    pub threshold: f32,
}

/// The accuracy of a small gallery with strangers among the visitors.
#[derive(Clone, Copy, Debug)]
pub struct OpenSet {
    /// Single probes of enrolled people that are named right and pass the threshold.
    pub named: f32,
    /// Single probes of strangers that pass the threshold.
    pub accepted: f32,
    /// Five-probe majorities of enrolled people that are right.
    pub named_by_vote: f32,
    /// Five-probe majorities of strangers that name somebody.
    pub accepted_by_vote: f32,
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `features` has `each` unit rows of `dim` per person, one person after the other.
pub fn verify(features: &[f32], dim: usize, each: usize) -> Verification {
    let rows: Vec<&[f32]> = features.chunks_exact(dim).collect();
    let (mut same, mut different) = (Vec::new(), Vec::new());
    for i in 0..rows.len() {
        for j in i + 1..rows.len() {
            let similarity = dot(rows[i], rows[j]);
            if i / each == j / each {
                same.push(similarity);
            } else {
                different.push(similarity);
            }
        }
    }
    let mean = |x: &[f32]| x.iter().sum::<f32>() / x.len().max(1) as f32;
    different.sort_unstable_by(|a, b| b.total_cmp(a));
    let threshold = different.get(different.len() / 1000).copied().unwrap_or(1.0);
    Verification {
        tpr_at_1e3: same.iter().filter(|&&s| s > threshold).count() as f32 / same.len().max(1) as f32,
        same: mean(&same),
        different: mean(&different),
        threshold,
    }
}

/// `draws` galleries of 10 people enrolled with half of their rows; the other half and 4 strangers are probes, at the
/// given threshold on similarity to a person's mean.
pub fn open_set(features: &[f32], dim: usize, each: usize, threshold: f32, draws: usize) -> OpenSet {
    let people = features.len() / dim / each;
    let row = |person: usize, n: usize| &features[(person * each + n) * dim..(person * each + n + 1) * dim];
    let half = each / 2;
    let mut rng = Rng::new(11);
    let mut counts = [[0usize; 2]; 4];
    for _ in 0..draws {
        let mut order: Vec<usize> = (0..people).collect();
        rng.shuffle(&mut order);
        let gallery: Vec<Vec<f32>> = order[..10]
            .iter()
            .map(|&person| {
                let mut mean = vec![0.0; dim];
                (0..half).for_each(|n| mean.iter_mut().zip(row(person, n)).for_each(|(m, v)| *m += v));
                let length = dot(&mean, &mean).sqrt().max(1e-6);
                mean.iter().map(|v| v / length).collect()
            })
            .collect();
        let named = |person: usize, n: usize| -> Option<usize> {
            let similarity: Vec<f32> = gallery.iter().map(|g| dot(g, row(person, n))).collect();
            let best = (0..gallery.len()).max_by(|&a, &b| similarity[a].total_cmp(&similarity[b]))?;
            (similarity[best] > threshold).then_some(best)
        };
        for (place, &person) in order[..JUDGED_BY].iter().enumerate() {
            let probes = half..each;
            let votes: Vec<Option<usize>> = probes.map(|n| named(person, n)).collect();
            let enrolled = place < 10;
            let good = |vote: &Option<usize>| if enrolled { *vote == Some(place) } else { vote.is_some() };
            let hits = votes.iter().filter(|vote| good(vote)).count();
            let top = (0..10).map(|p| votes.iter().filter(|v| **v == Some(p)).count()).max().unwrap_or(0);
            let group = usize::from(!enrolled);
            counts[group][0] += hits;
            counts[group][1] += votes.len();
            let majority = if enrolled { hits } else { top };
            counts[2 + group][0] += usize::from(2 * majority > votes.len());
            counts[2 + group][1] += 1;
        }
    }
    let [named, accepted, named_by_vote, accepted_by_vote] = counts.map(|[hit, all]| hit as f32 / all.max(1) as f32);
    OpenSet { named, accepted, named_by_vote, accepted_by_vote }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orthogonal_people_are_told_apart_and_equal_ones_are_not() {
        let (dim, each, people) = (20, 4, 20);
        let mut apart = vec![0.0; dim * each * people];
        for (i, row) in apart.chunks_exact_mut(dim).enumerate() {
            row[i / each] = 1.0;
        }
        let found = verify(&apart, dim, each);
        assert_eq!((found.tpr_at_1e3, found.same, found.different), (1.0, 1.0, 0.0));
        let door = open_set(&apart, dim, each, 0.5, 3);
        assert_eq!((door.named, door.accepted), (1.0, 0.0));
        let equal: Vec<f32> = (0..people * each).flat_map(|_| (0..dim).map(|d| f32::from(d == 0))).collect();
        assert_eq!(verify(&equal, dim, each).tpr_at_1e3, 0.0);
        assert_eq!(open_set(&equal, dim, each, 0.5, 3).accepted, 1.0);
    }
}
