//! The installer's keys over the known ones → all keys, or the first that nobody knows and the one that was meant.

use strsim::levenshtein;
use toml::{Table, Value};

use super::DEFAULT;

/// A key that no version of this program knows, with its sections.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownKey(pub String);

/// Lays `own` over `base`.
///
/// # Errors
/// The first key of `own` that `base` lacks.
pub fn overlay(base: &mut Table, own: Table, prefix: &str) -> Result<(), UnknownKey> {
    for (key, value) in own {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match (base.get_mut(&key), value) {
            (None, _) => return Err(UnknownKey(path)),
            (Some(Value::Table(base)), Value::Table(own)) => overlay(base, own, &path)?,
            (Some(base), value) => *base = value,
        }
    }
    Ok(())
}

/// The known key that is nearest to `wanted`: the same last part in another section, or a few letters away.
pub fn nearest_key(wanted: &str) -> Option<String> {
    fn collect(table: &Table, prefix: &str, keys: &mut Vec<String>) {
        for (key, value) in table {
            let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            if let Value::Table(inner) = value {
                collect(inner, &path, keys);
            }
            keys.push(path);
        }
    }
    let mut keys = Vec::new();
    collect(&toml::from_str(DEFAULT).ok()?, "", &mut keys);
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    keys.into_iter()
        .map(|key| {
            let whole = levenshtein(wanted, &key);
            let tail = levenshtein(&last(wanted), &last(&key)) + usize::from(whole > 0);
            (whole.min(tail), key)
        })
        .min()
        .filter(|(distance, key)| *distance <= 1 + last(key).chars().count() / 3)
        .map(|(_, key)| key)
}
