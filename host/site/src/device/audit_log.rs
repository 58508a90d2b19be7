//! A device's audit log over the network → lines, after its chain was checked against the end that was seen before.

use std::str::FromStr;

use lintel_wire::audit::row::Row;
use lintel_wire::audit::{Record, chained};
use lintel_wire::link::Hash;
use lintel_work::failure::Failure;

use crate::device::Client;
use crate::devices::KnownDevice;
use crate::{Site, now};

/// A length of time: a number with `s`, `m`, `h` or `d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age(pub u64);

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a length of time, wanted a number with s, m, h or d, as in 12h");
        let unit = text.chars().next_back().ok_or_else(wrong)?;
        let factor = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return Err(wrong()),
        };
        let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
        number.checked_mul(factor).map(Self).ok_or_else(wrong)
    }
}

/// Entries of a device's audit log.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditLog {
    /// The entries that were asked for, oldest first.
    pub rows: Vec<Row>,
    /// Sequence number of the newest entry.
    pub head: u64,
    /// The chain's hash at the newest entry.
    pub head_hash: Hash,
    /// Whether the end that was seen before is no longer there: the audit log is bounded.
    pub seen_before_dropped: bool,
}

/// Fetches the audit log, checks its chain, and stores its end. `on_row` gets each entry that was asked for as it
/// arrives.
///
/// # Errors
/// [`Failure`] when the device fails or the chain is broken.
pub fn export(
    site: &Site,
    device: &KnownDevice,
    since: Option<Age>,
    on_row: &mut dyn FnMut(&Row),
) -> Result<AuditLog, Failure> {
    let mut client = Client::to(site, device)?;
    let broken = |at: u64| Failure::work(format!("{}: the audit log's chain is broken at entry {at}", device.name));
    let mut after = 0;
    let mut hash: Option<Hash> = None;
    let mut rows = Vec::new();
    let mut seen_before = device.journal == 0;
    let first_wanted = since.map_or(0, |Age(age)| now().saturating_sub(age));
    let head = loop {
        let page = client.log_page(after)?;
        // A page that does not continue the one before would be asked for without end.
        if page.first <= after || hash.is_some_and(|hash| hash != page.before) {
            return Err(broken(page.first));
        }
        let mut at = page.before;
        let mut sequence = page.first.saturating_sub(1);
        let mut remembered = |sequence: u64, hash: &Hash| -> Result<(), Failure> {
            if sequence == device.journal && device.journal > 0 {
                seen_before = hex::encode(hash) == device.journal_head;
                if !seen_before {
                    return Err(Failure::work(format!(
                        "{}: entry {sequence} has changed since it was last read: the audit log was started anew",
                        device.name
                    )));
                }
            }
            Ok(())
        };
        remembered(sequence, &at)?;
        for bytes in &page.entries {
            sequence += 1;
            at = chained(&at, sequence, bytes);
            remembered(sequence, &at)?;
            let record = Record::from_bytes(bytes).map_err(|_| broken(sequence))?;
            if record.clock >= first_wanted {
                let row = Row::of(sequence, &record);
                on_row(&row);
                rows.push(row);
            }
        }
        if page.entries.is_empty() || sequence >= page.head {
            if sequence == page.head && at != page.head_hash {
                return Err(broken(sequence));
            }
            break (sequence, at);
        }
        (after, hash) = (sequence, Some(at));
    };
    if head.0 < device.journal {
        return Err(Failure::work(format!(
            "{}: the audit log ends at {}, but was read up to {} before: entries were removed",
            device.name, head.0, device.journal
        )));
    }
    site.remember(&KnownDevice { journal: head.0, journal_head: hex::encode(head.1), ..device.clone() })?;
    Ok(AuditLog { rows, head: head.0, head_hash: head.1, seen_before_dropped: !seen_before })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read() {
        let check =
            |text: &str, expected: Option<u64>| assert_eq!(text.parse::<Age>().ok(), expected.map(Age), "{text}");
        check("90m", Some(5400));
        check("12h", Some(43_200));
        check("7d", Some(604_800));
        check("0s", Some(0));
        check("", None);
        check("h", None);
        check("-1h", None);
        check("5é", None);
        check("99999999999999999999d", None);
    }
}
