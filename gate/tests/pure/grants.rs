//! What the gate remembers of open doors.

use std::time::Duration;

use sknock_gate::{
    ApprovedGrant, BootInstant, CertId, GrantElement, GrantRequest, GrantTable, Serial, TokenBucket,
};

use crate::{ceiling, grant_request, tcp, udp};

const ALICE: &str = "192.0.2.7";

fn at(seconds: u64) -> BootInstant {
    BootInstant::from_millis(seconds * 1000)
}

fn cert(serial: u8) -> CertId {
    CertId { issuer: *b"CA01CA01CA01", serial: Serial::new(&[serial]).unwrap() }
}

/// TCP 1000 for this holder and so many seconds.
fn grant(serial: u8, seconds: u32) -> ApprovedGrant {
    let mut grant_request = GrantRequest { seconds, ..grant_request(&[ALICE], &[tcp(1000, 1000)]) };
    grant_request.label.cert = cert(serial);
    ceiling()
        .check(&grant_request, &GrantTable::default(), &mut TokenBucket::default(), at(0))
        .unwrap()
}

fn left(elements: &[GrantElement]) -> Vec<(CertId, u64)> {
    elements.iter().map(|element| (element.label.cert, element.remaining.as_secs())).collect()
}

#[test]
fn a_grant_expires_at_its_deadline_and_not_before() {
    let mut live = GrantTable::default();
    live.record(&grant(1, 30), at(100));
    live.expire(BootInstant::from_millis(129_999));
    assert_eq!(live.len(), 1);
    assert_eq!(left(&live.elements(at(129))), [(cert(1), 1)]);
    assert_eq!(live.elements(at(130)), []);
    live.expire(at(130));
    assert!(live.is_empty());
}

#[test]
fn a_shorter_request_keeps_the_lifetime_of_the_active_grant() {
    let mut live = GrantTable::default();
    live.record(&grant(1, 60), at(0));
    assert_eq!(left(&live.elements_for(&grant(1, 10), at(20))), [(cert(1), 40)]);
    live.record(&grant(1, 10), at(20));
    assert_eq!(left(&live.elements(at(20))), [(cert(1), 40)]);
    assert_eq!(left(&live.elements_for(&grant(1, 50), at(20))), [(cert(1), 50)]);
}

#[test]
fn a_renewed_grant_does_not_expire_at_its_first_deadline() {
    let mut live = GrantTable::default();
    live.record(&grant(1, 10), at(0));
    live.record(&grant(1, 60), at(5));
    live.expire(at(11));
    assert_eq!(left(&live.elements(at(11))), [(cert(1), 54)]);
    live.expire(at(65));
    assert!(live.is_empty());
}

#[test]
fn grants_of_two_certificates_share_one_element_until_the_later_ends() {
    let mut live = GrantTable::default();
    live.record(&grant(1, 20), at(0));
    live.record(&grant(2, 60), at(0));
    assert_eq!(live.len(), 2);
    assert_eq!(left(&live.elements(at(10))), [(cert(2), 50)]);
    let (stay, close) = live.plan_close(&cert(2), at(10));
    assert_eq!((left(&stay), close), (vec![(cert(1), 10)], vec![]));
    assert_eq!(live.remove_cert(&cert(2)), 1);
    let (stay, close) = live.plan_close(&cert(1), at(10));
    assert_eq!((stay.len(), close.len()), (0, 1));
}

#[test]
fn grants_of_an_earlier_run_are_held_to_the_request_limits() {
    let mut earlier = GrantTable::default();
    let mut wide = ceiling();
    wide.services = vec![tcp(1, 65535), udp(1, 65535)];
    wide.longest = Duration::from_secs(1000);
    let grant_request =
        GrantRequest { seconds: 500, ..grant_request(&[ALICE], &[tcp(998, 1001), udp(52, 53)]) };
    let grant = wide
        .check(&grant_request, &GrantTable::default(), &mut TokenBucket::default(), at(0))
        .unwrap();
    earlier.record(&grant, at(0));

    let mut live = GrantTable::default();
    let open = earlier.elements(at(0)).iter().map(|element| element.grant_key).collect();
    assert_eq!(live.restore(&earlier, &open, &ceiling(), at(0)).len(), 3);
    assert_eq!(left(&live.elements(at(0))), [(grant_request.label.cert, 60); 3]);

    let mut few = ceiling();
    few.live = 2;
    let mut live = GrantTable::default();
    assert_eq!(live.restore(&earlier, &open, &few, at(0)).len(), 4);
    assert_eq!(live.len(), 2);
    let mut live = GrantTable::default();
    let one = open.first().copied().into_iter().filter(|grant_key| grant_key.port == 999).collect();
    assert_eq!(live.restore(&earlier, &one, &ceiling(), at(0)).len(), 6 - one.len());
    assert_eq!(live.len(), one.len());
}

#[test]
fn single_use_that_the_kernel_lost_is_forgotten() {
    let mut live = GrantTable::default();
    live.record(&grant(1, 60), at(0));
    let once = GrantRequest {
        single_use: true,
        ..grant_request(&[ALICE], &[tcp(1000, 1000), tcp(1001, 1001)])
    };
    let once =
        ceiling().check(&once, &GrantTable::default(), &mut TokenBucket::default(), at(0)).unwrap();
    live.record(&once, at(0));
    let seen: Vec<GrantElement> =
        live.elements(at(0)).into_iter().filter(|element| element.grant_key.port == 1001).collect();
    assert_eq!(live.retain_allowed(&seen, &ceiling(), at(0)).len(), 1);
    let grant_keys: Vec<(u16, bool)> =
        live.elements(at(0)).iter().map(|e| (e.grant_key.port, e.grant_key.single_use)).collect();
    assert_eq!(grant_keys, [(1000, false), (1001, true)]);
}

#[test]
fn pages_contain_each_grant_once_in_order() {
    let mut live = GrantTable::default();
    let many = GrantRequest { seconds: 30, ..grant_request(&[ALICE], &[tcp(1000, 1009)]) };
    let many =
        ceiling().check(&many, &GrantTable::default(), &mut TokenBucket::default(), at(0)).unwrap();
    live.record(&many, at(0));
    // Others hold the first door, too; one of them for longer.
    live.record(&grant(2, 60), at(0));
    live.record(&grant(3, 20), at(0));
    for count in 1..=13 {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = live.page(after.as_ref(), count, at(5));
            assert!(page.len() <= count);
            let Some(last) = page.last() else { break };
            after = Some((last.grant_key, last.label.cert));
            all.extend(page);
        }
        let claims: Vec<_> = all.iter().map(|one| (one.grant_key, one.label.cert)).collect();
        assert!(claims.is_sorted() && claims.len() == 12, "{count}: {claims:?}");
        assert!(claims.windows(2).all(|two| two[0] != two[1]));
        let mut times: Vec<u64> = all.iter().take(3).map(|one| one.remaining.as_secs()).collect();
        times.sort_unstable();
        assert_eq!(times, [15, 25, 55]);
    }
    assert_eq!(live.page(None, 20, at(40)).len(), 1, "the others have ended");
}
