//! How many lines a second are logged on refused knocks with a proven certificate: of all together, and of each
//! certificate a share, so that one noisy client leaves room for lines on the others. No clock, no I/O.

use std::collections::HashMap;

use sknock_protocol::CertificateId;

/// One certificate has this part of all lines, in percent: ten clients must be noisy at once to use up the limit.
const SHARE: u32 = 10;

/// At most this number of lines in a second, and of each certificate a tenth.
#[derive(Debug)]
pub(super) struct KnownLimit {
    most: u32,
    share: u32,
    second: u64,
    told: u32,
    /// By issuer and serial number: the holder of a certificate can change its bytes, not these.
    ///
    /// Of each certificate that has had a line in this second: no more certificates than lines.
    of_each: HashMap<CertificateId, u32>,
    suppressed: u64,
}

impl KnownLimit {
    /// At most this number for all certificates together, and at least one for each.
    pub(super) fn of(most: u32) -> Self {
        let share = (most * SHARE / 100).max(1);
        Self { most, share, second: 0, told: 0, of_each: HashMap::new(), suppressed: 0 }
    }

    /// Leave for one line about this certificate in this second, by any clock, with the number of lines about any
    /// certificate that were suppressed since the last leave.
    pub(super) fn permit(&mut self, certificate: &CertificateId, second: u64) -> Option<u64> {
        if self.second != second {
            self.second = second;
            self.told = 0;
            self.of_each.clear();
        }
        let own = self.of_each.get(certificate).copied().unwrap_or(0);
        if self.told >= self.most || own >= self.share {
            self.suppressed += 1;
            return None;
        }
        self.told += 1;
        self.of_each.insert(certificate.clone(), own + 1);
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use sknock_protocol::IssuerId;

    use super::*;

    fn number(serial: u8) -> CertificateId {
        let issuer = IssuerId { name: [1; 32], key: [2; 32] };
        CertificateId { issuer, serial: vec![serial] }
    }

    fn told(limit: &mut KnownLimit, certificate: u8, count: usize, second: u64) -> usize {
        (0..count).filter(|_| limit.permit(&number(certificate), second).is_some()).count()
    }

    #[test]
    fn one_certificate_leaves_room_for_others_and_what_is_left_out_is_counted() {
        let mut limit = KnownLimit::of(100);
        assert_eq!(told(&mut limit, 1, 600, 7), 10);
        assert_eq!(limit.permit(&number(2), 7), Some(590), "the count is of all certificates");
        assert_eq!(limit.permit(&number(2), 7), Some(0));
        assert_eq!(told(&mut limit, 1, 600, 8), 10, "a second later");
        assert_eq!(limit.permit(&number(3), 9), Some(590));
    }

    #[test]
    fn all_certificates_together_have_a_limit_and_so_has_the_memory() {
        let mut limit = KnownLimit::of(100);
        let all: usize = (0..=255).map(|certificate| told(&mut limit, certificate, 3, 7)).sum();
        assert_eq!(all, 100);
        assert!(limit.of_each.len() <= 100);
        assert_eq!(limit.permit(&number(0), 8), Some(3 * 256 - 100));
        assert_eq!(told(&mut KnownLimit::of(1), 1, 5, 7), 1, "of many threads, each has a line");
    }
}
