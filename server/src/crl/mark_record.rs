//! CRL high-water marks, one for each issuer: the network process reports them to the privileged process,
//! which keeps the highest, and passes them to the next network process. Entries have a fixed size, so
//! neither side parses.

use std::collections::BTreeMap;

use sknock_gate::Request;
use sknock_protocol::{CrlMark, Timestamp};

/// SHA-256 of an issuer's name and key, as in `IssuerId::digest`.
pub type IssuerDigest = [u8; 32];

/// The highest mark of each issuer.
pub type CrlMarks = BTreeMap<IssuerDigest, CrlMark>;

/// A mark with its issuer.
///
/// ```text
/// [32] issuer | u64 made, in seconds since 1970, big-endian | [20] number, big-endian
/// ```
pub type MarkRecord = [u8; 60];

/// The first byte of a report. Requests to the gate begin with others.
const REPORT: u8 = 128;

/// Encodes an entry.
pub fn entry(issuer: &IssuerDigest, mark: &CrlMark) -> MarkRecord {
    let mut entry = [0; 60];
    entry[..32].copy_from_slice(issuer);
    entry[32..40].copy_from_slice(&mark.made().as_secs().to_be_bytes());
    entry[40..].copy_from_slice(mark.number());
    entry
}

/// Decodes an entry, without checking its content.
pub fn read(entry: &[u8]) -> Option<(IssuerDigest, CrlMark)> {
    let (issuer, rest) = entry.split_first_chunk()?;
    let (made, rest) = rest.split_first_chunk()?;
    let number: [u8; CrlMark::NUMBER] = rest.try_into().ok()?;
    // Larger values are limited to the last representable second.
    let made = Timestamp::from_secs(u64::from_be_bytes(*made));
    Some((*issuer, CrlMark::new(made, number)))
}

/// The report, on a link to the gate, that a CRL with this mark is about to come into force. It has the
/// length of a request to the gate, and gets an answer like one.
pub fn report(issuer: &IssuerDigest, mark: &CrlMark) -> [u8; Request::LEN] {
    let mut record = [0; Request::LEN];
    record[0] = REPORT;
    record[1..61].copy_from_slice(&entry(issuer, mark));
    record
}

/// Whether a record is a report; an invalid one is still no request to the gate.
pub fn is_report(record: &[u8]) -> bool {
    record.first() == Some(&REPORT)
}

/// Decodes a report of exact form.
pub fn reported(record: &[u8]) -> Option<(IssuerDigest, CrlMark)> {
    let (kind, rest) = record.split_first()?;
    let (entry, rest) = rest.split_at_checked(60)?;
    let whole = *kind == REPORT && record.len() == Request::LEN && rest.iter().all(|&b| b == 0);
    whole.then(|| read(entry)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reported_is_read_and_nothing_else_is() {
        let mark = CrlMark::new(Timestamp::from_secs(1_782_864_000), [7; CrlMark::NUMBER]);
        let record = report(&[9; 32], &mark);
        assert!(is_report(&record) && Request::decode(&record).is_none());
        assert_eq!(reported(&record), Some(([9; 32], mark)));
        assert_eq!(reported(&record[..255]), None);
        let mut longer = record.to_vec();
        longer.push(0);
        assert_eq!(reported(&longer), None);
        for (place, byte) in [(0, 1), (61, 1), (255, 1)] {
            let mut other = record;
            other[place] = byte;
            assert_eq!(reported(&other), None, "{place}");
        }
    }
}
