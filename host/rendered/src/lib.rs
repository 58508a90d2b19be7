//! A seed → rendered people: their names, and their numbers in the renderer.
//!
//! The ranges of numbers are separate, so that no person has two roles. Numbers below 2⁶² are for training the mini
//! pack; from 2⁶² for setting a table's thresholds; from 2⁶³ for enrolled people and for strangers in recordings; from
//! 3·2⁶² for filling tables to measure how they grow.

pub mod faces;
pub mod strangers;

use sha2::{Digest, Sha256};

/// Enrolled people, and strangers in recordings.
const VISITORS: u64 = 1 << 63;
/// The strangers that set a table's thresholds.
const COHORT: u64 = 1 << 62;
/// The people who fill a table for measuring.
const CROWD: u64 = 3 << 62;

/// The renderer's number of visitor `index` of the world `seed`.
#[must_use]
pub fn visitor(seed: u64, index: u32) -> u64 {
    VISITORS | (number("visitor", seed, index) >> 2)
}

/// The renderer's number of stranger `index` of the cohort.
#[must_use]
pub fn cohort(seed: u64, index: u32) -> u64 {
    COHORT | (number("cohort", seed, index) >> 2)
}

/// The renderer's number of person `index` of a crowd.
#[must_use]
pub fn crowd(seed: u64, index: u32) -> u64 {
    CROWD | (number("crowd", seed, index) >> 2)
}

/// A name for visitor `index`; the first [`NAMES`] of a world have different names.
#[must_use]
pub fn name(seed: u64, index: u32) -> String {
    let start = number("names", seed, 0);
    let (given, family) = (GIVEN.len() as u64, FAMILY.len() as u64);
    let (round, place) = (u64::from(index) / (given * family), u64::from(index) % (given * family));
    // The lists' lengths share no factor, so that stepping through both at once gives every pair.
    let first = GIVEN[((start % given + place) % given) as usize];
    let last = FAMILY[((start / given % family + place) % family) as usize];
    if round == 0 { format!("{first} {last}") } else { format!("{first} {last} {}", round + 1) }
}

/// The number of names before a number is appended.
pub const NAMES: usize = GIVEN.len() * FAMILY.len();

fn number(what: &str, seed: u64, index: u32) -> u64 {
    let mut hash = Sha256::new();
    hash.update(what.as_bytes());
    hash.update(seed.to_le_bytes());
    hash.update(index.to_le_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    u64::from_le_bytes([digest[0], digest[1], digest[2], digest[3], digest[4], digest[5], digest[6], digest[7]])
}

const GIVEN: [&str; 40] = [
    "Ada", "Bruno", "Chiara", "Dmitri", "Esi", "Farid", "Greta", "Hiro", "Inés", "Jonas", "Kavita", "Liang", "Maja",
    "Noor", "Olu", "Priya", "Quentin", "Rosa", "Søren", "Tariq", "Uma", "Viktor", "Wanjiru", "Ximena", "Yusuf", "Zoë",
    "Aroha", "Björn", "Camille", "Deniz", "Elif", "Finn", "Gwen", "Hanna", "Ivo", "Jana", "Kofi", "Lucía", "Mateo",
    "Nina",
];

const FAMILY: [&str; 41] = [
    "Abara",
    "Bianchi",
    "Castillo",
    "Dubois",
    "Eriksen",
    "Fischer",
    "Gupta",
    "Haddad",
    "Ivanova",
    "Jansen",
    "Kimura",
    "Lindqvist",
    "Mensah",
    "Novák",
    "Okafor",
    "Petrov",
    "Quispe",
    "Romero",
    "Sato",
    "Tanaka",
    "Ueda",
    "Varga",
    "Weber",
    "Xu",
    "Yılmaz",
    "Zhang",
    "Ahmadi",
    "Botha",
    "Cohen",
    "Diaz",
    "Evans",
    "Ferreira",
    "Grant",
    "Huang",
    "Ito",
    "Jovanović",
    "Keita",
    "Larsen",
    "Moreau",
    "Nguyen",
    "O'Brien",
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_do_not_repeat() {
        for seed in [0, 1, u64::MAX] {
            let count = NAMES as u32 + 50;
            let names: BTreeSet<String> = (0..count).map(|index| name(seed, index)).collect();
            assert_eq!(names.len(), count as usize);
        }
    }

    #[test]
    fn worlds_and_cohorts_share_nobody() {
        let visitors: BTreeSet<u64> = (0..1000).map(|index| visitor(1, index)).collect();
        let others: BTreeSet<u64> = (0..1000).map(|index| visitor(2, index)).collect();
        let strangers: BTreeSet<u64> = (0..1000).map(|index| cohort(1, index)).collect();
        assert_eq!(visitors.len() + others.len() + strangers.len(), 3000);
        assert!(visitors.is_disjoint(&others) && visitors.is_disjoint(&strangers));
        let crowd: BTreeSet<u64> = (0..1000).map(|index| crowd(1, index)).collect();
        assert!(visitors.iter().all(|seed| (VISITORS..CROWD).contains(seed)));
        assert!(crowd.iter().all(|seed| *seed >= CROWD));
        assert!(strangers.iter().all(|seed| (COHORT..VISITORS).contains(seed)));
    }
}
