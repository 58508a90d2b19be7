//! Prompts → tiles of token slots: the common beginning of all prompts is stored once, and few slots stay empty.
//!
//! Attention is causal: a token's result depends on the tokens before it only. So the tokens with which all prompts
//! begin are computed once, and what follows a prompt's end-of-text token is not computed; no result changes. The rest
//! of each prompt, its tail, is put into tiles of equal size, so that attention stays one batch of products. The mask
//! keeps the tails in a tile apart.

/// The size of a tile that is aimed at. Larger tiles compute more pairs of tokens that do not attend to each other.
const TILE: std::ops::RangeInclusive<usize> = 32..=64;

/// Where each token of the prompts lies. The first `shared` slots of the first tile hold the common beginning.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Packing {
    /// Tiles of token slots, all of one length.
    pub tiles: usize,
    /// Token slots of each tile.
    pub slots: usize,
    /// Number of tokens with which all prompts begin; every prompt is longer.
    pub shared: usize,
    /// `[tiles · slots]` token ids.
    pub ids: Vec<i32>,
    /// `[tiles · slots]` positions in the prompt.
    pub positions: Vec<i32>,
    /// `[N]` the slot of each prompt's last token.
    pub ends: Vec<i32>,
    /// `[tiles · slots]`
    views: Vec<View>,
}

/// The slots that a slot attends to.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
struct View {
    /// Whether the common beginning lies in another tile, or further left in this one.
    shared: bool,
    /// The first slot of its own tile that it attends to; the last is the slot itself.
    first: usize,
}

impl Packing {
    /// Lays out rows of token ids. There is at least one row, and each ends with its end-of-text token.
    pub(super) fn new(rows: &[Vec<i32>]) -> Self {
        let shared = shared_length(rows);
        let tails: Vec<&[i32]> = rows.iter().map(|row| &row[shared..]).collect();
        let (slots, tiles, starts) = densest(shared, &tails);

        let mut packing = Self {
            tiles,
            slots,
            shared,
            ids: vec![0; tiles * slots],
            positions: vec![0; tiles * slots],
            ends: Vec::with_capacity(rows.len()),
            views: (0..tiles * slots).map(|slot| View { shared: false, first: slot % slots }).collect(),
        };
        packing.put(0, 0, &rows[0][..shared], View { shared: false, first: 0 });
        for (tail, start) in tails.into_iter().zip(starts) {
            packing.put(start, shared, tail, View { shared: true, first: start % slots });
            packing.ends.push(index(start + tail.len() - 1));
        }
        packing
    }

    /// Columns of the mask for the common beginning; at least one, because a tensor cannot be empty.
    pub(super) fn shared_columns(&self) -> usize {
        self.shared.max(1)
    }

    /// `[tiles, slots, shared columns + slots]`: 0 where a slot attends, `hidden` where it does not.
    pub(super) fn mask(&self, hidden: f32) -> Vec<f32> {
        let mut mask = Vec::with_capacity(self.views.len() * (self.shared_columns() + self.slots));
        let value = |seen: bool| if seen { 0.0 } else { hidden };
        for (slot, view) in self.views.iter().enumerate() {
            let own = slot % self.slots;
            mask.extend((0..self.shared_columns()).map(|column| value(view.shared && column < self.shared)));
            mask.extend((0..self.slots).map(|column| value((view.first..=own).contains(&column))));
        }
        mask
    }

    fn put(&mut self, start: usize, position: usize, tokens: &[i32], view: View) {
        for (i, &token) in tokens.iter().enumerate() {
            self.ids[start + i] = token;
            self.positions[start + i] = index(position + i);
            self.views[start + i] = view;
        }
    }
}

/// The number of tokens with which all rows begin, without the last token of the shortest row.
fn shared_length(rows: &[Vec<i32>]) -> usize {
    let first = &rows[0];
    let alike = |row: &Vec<i32>| first.iter().zip(&row[..row.len() - 1]).take_while(|(a, b)| a == b).count();
    rows.iter().map(alike).min().unwrap_or(0)
}

/// The size of tile that leaves the fewest slots empty, the number of tiles, and the place at which each tail starts.
fn densest(shared: usize, tails: &[&[i32]]) -> (usize, usize, Vec<usize>) {
    let longest = tails.iter().map(|tail| tail.len()).max().unwrap_or(0);
    let total = shared + tails.iter().map(|tail| tail.len()).sum::<usize>();
    let least = (*TILE.start()).min(total).max(longest).max(shared);
    let most = (*TILE.end()).min(total).max(least);
    let mut order: Vec<usize> = (0..tails.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(tails[i].len()));
    let tries = (least..=most).map(|slots| {
        let (tiles, starts) = placed(shared, tails, &order, slots);
        (slots, tiles, starts)
    });
    tries.min_by_key(|(slots, tiles, _)| slots * tiles).expect("there is at least one size")
}

/// Puts each tail into the first tile that has room for it, in the given order.
fn placed(shared: usize, tails: &[&[i32]], order: &[usize], slots: usize) -> (usize, Vec<usize>) {
    let mut used = vec![shared];
    let mut starts = vec![0; tails.len()];
    for &i in order {
        let length = tails[i].len();
        let tile = used.iter().position(|&used| used + length <= slots).unwrap_or(used.len());
        if tile == used.len() {
            used.push(0);
        }
        starts[i] = tile * slots + used[tile];
        used[tile] += length;
    }
    (used.len(), starts)
}

fn index(value: usize) -> i32 {
    i32::try_from(value).expect("2^31 tokens don't fit in memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shared_ends_before_any_prompt_does() {
        let check = |rows: &[&[i32]], expected: usize| {
            let rows: Vec<Vec<i32>> = rows.iter().map(|row| row.to_vec()).collect();
            assert_eq!(shared_length(&rows), expected, "{rows:?}");
        };
        check(&[&[8, 1, 2, 9], &[8, 1, 3, 9]], 2);
        check(&[&[8, 1, 2, 9]], 3);
        check(&[&[8, 1, 9], &[8, 1, 2, 9]], 2);
        check(&[&[8, 9], &[8, 9]], 1);
        check(&[&[9], &[8, 9]], 0);
        // The second goes on where the first one ends.
        check(&[&[8, 1], &[8, 1, 2]], 1);
    }

    #[test]
    fn every_token_sees_its_own_prompt_up_to_itself() {
        let check = |rows: &[&[i32]], slots: usize, tiles: usize| {
            let rows: Vec<Vec<i32>> = rows.iter().map(|row| row.to_vec()).collect();
            let packing = Packing::new(&rows);
            assert_eq!((packing.slots, packing.tiles), (slots, tiles));
            let columns = packing.shared_columns() + packing.slots;
            let mask = packing.mask(-1.0);
            assert_eq!(mask.len(), tiles * slots * columns);
            for (row, &end) in rows.iter().zip(&packing.ends) {
                let end = usize::try_from(end).expect("a slot");
                let tile = end / slots * slots;
                let seen = (0..columns).filter(|column| mask[end * columns + column] == 0.0);
                let slots_seen = seen.map(|column| match column.checked_sub(packing.shared_columns()) {
                    Some(own) => tile + own,
                    None => column,
                });
                let (ids, positions): (Vec<i32>, Vec<i32>) =
                    slots_seen.map(|slot| (packing.ids[slot], packing.positions[slot])).unzip();
                assert_eq!(&ids, row);
                assert_eq!(positions, (0..index(row.len())).collect::<Vec<_>>());
            }
        };
        check(&[&[8, 1, 2, 9], &[8, 1, 3, 4, 9]], 7, 1);
        check(&[&[8, 1, 9]], 3, 1);
        check(&[&[9], &[7, 9]], 3, 1);
        let long: Vec<Vec<i32>> = (0..20).map(|i| [vec![8, i], vec![1; 9], vec![9]].concat()).collect();
        // 1 + 20 · 11 tokens.
        check(&long.iter().map(Vec::as_slice).collect::<Vec<_>>(), 56, 4);
    }
}
