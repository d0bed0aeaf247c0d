//! What a captured network process can say to the gate: records, one after the other, while time
//! goes on. Each opening must be within the ceiling, whatever was said before.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use sknock_gate::{
    ApprovedGrant, BootInstant, Ceiling, CertId, GrantLabel, GrantTable, KnockTags, MAX_COMMENT,
    PortRange, Request, Response, Shares, TokenBucket, Transport,
};

const LONGEST: u32 = 60;
const LIVE: usize = 100;

fuzz_target!(|input: &[u8]| {
    let ports = |transport, first, last| PortRange::new(transport, first, last).expect("a range");
    let ceiling = Ceiling {
        services: vec![ports(Transport::Tcp, 1, 1024), ports(Transport::Udp, 60000, 61000)],
        longest: Duration::from_secs(LONGEST.into()),
        live: LIVE,
        per_second: 20,
        shares: Shares { certificate: 20, network: 50 },
    };
    let (mut live, mut bucket) = (GrantTable::default(), TokenBucket::default());
    let mut tags = KnockTags::default();
    let mut now = BootInstant::from_millis(0);
    // One byte more than a record: how much later it comes, in tenths of a second.
    for part in input.chunks(Request::LEN + 1) {
        let [later, record @ ..] = part else { return };
        now = now.after(Duration::from_millis(u64::from(*later) * 100));
        live.expire(now);
        if let Some(answer) = Response::decode(&record[..record.len().min(Response::LEN)]) {
            assert_eq!(answer.encode(), record[..Response::LEN], "an answer of two encodings");
        }
        let Some(request) = Request::decode(record) else { continue };
        assert_eq!(request.encode().as_ref().map(<[u8; _]>::as_slice), Some(record));
        match request {
            Request::Activate => {}
            Request::Open(wish) => {
                if let Ok(opening) = ceiling.check(&wish, &live, &mut bucket, now) {
                    check(&opening, &ceiling);
                    live.elements_for(&opening, now);
                    live.record(&opening, now);
                }
            }
            Request::CloseIssuer(_) | Request::NextIssuer(_) => {}
            Request::StageTags { seconds, tags: some } => {
                let _ = tags.stage(&some, Duration::from_secs(seconds.into()), now);
            }
            Request::LoadTags { count, replace, seconds } => {
                let span = Duration::from_secs(seconds.into());
                if let Ok(change) = tags.plan(count as usize, replace, span, now) {
                    tags.apply(&change, now);
                }
                let has = tags.elements(now);
                assert!(
                    has.tags.len() <= KnockTags::MAX && has.complete_for <= KnockTags::COMPLETE
                );
                assert!(has.tags.iter().all(|(_, left)| *left <= KnockTags::LONGEST));
            }
            Request::Close { issuer, serials } => {
                for holder in serials.into_iter().map(|serial| CertId { issuer, serial }) {
                    let (_, closed) = live.plan_close(&holder, now);
                    assert!(closed.len() <= live.remove_cert(&holder), "closed what is another's");
                }
            }
        }
        assert!(live.len() <= LIVE, "more doors than the ceiling allows");
    }
});

fn check(opening: &ApprovedGrant, ceiling: &Ceiling) {
    assert!((1..=LONGEST).contains(&opening.seconds()));
    assert!((1..=2).contains(&opening.addresses().len()));
    for service in opening.services() {
        for port in service.ports() {
            let within = |one: &PortRange| one.contains(service.transport(), port);
            assert!(ceiling.services.iter().any(within), "{service:?} is not offered");
        }
    }
    let comment = opening.label().comment();
    assert!(comment.len() <= MAX_COMMENT && comment.bytes().all(|byte| (32..127).contains(&byte)));
    let again = GrantLabel::from_comment(&comment).map(|label| label.comment());
    assert_eq!(again, Some(comment), "a label that cannot be read back");
}
