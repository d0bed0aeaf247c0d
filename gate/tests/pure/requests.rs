//! Records: what is written is read back, and nothing else is read at all.

use sknock_gate::{CertId, DenyReason, GrantRequest, OwnerName, Request, Response, Serial};

use crate::{grant_request, tcp, udp};

fn samples() -> Vec<Request> {
    let full = GrantRequest {
        seconds: u32::MAX,
        single_use: true,
        ..grant_request(&["192.0.2.7", "2001:db8::7"], &[tcp(1, 65535); 16])
    };
    let mut longest = full.clone();
    longest.label.name = OwnerName::truncated(&"n".repeat(64));
    longest.label.cert.serial = Serial::new(&[0xff; 20]).unwrap();
    vec![
        Request::Activate,
        Request::Open(grant_request(&["2001:db8::7"], &[udp(53, 53)])),
        Request::Open(full),
        Request::Open(longest.clone()),
        Request::close(longest.label.cert),
        Request::Close {
            issuer: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
            serials: vec![serial(20), serial(0), serial(7)],
        },
        Request::Close { issuer: [0; CertId::ISSUER], serials: vec![serial(20); Request::SERIALS] },
        Request::CloseIssuer([7; CertId::ISSUER]),
        Request::NextIssuer([7; CertId::ISSUER]),
        Request::StageTags { seconds: 0x0102_0304, tags: vec![[1, 2, 3, 4]] },
        Request::StageTags { seconds: 0, tags: vec![[0; 4]; Request::TAGS] },
        Request::LoadTags { count: 0x0102_0304, replace: true, seconds: 0x0506_0708 },
        Request::LoadTags { count: 0, replace: false, seconds: 0 },
        Request::close(CertId { issuer: [0; CertId::ISSUER], serial: Serial::new(&[]).unwrap() }),
    ]
}

fn serial(length: usize) -> Serial {
    Serial::new(&vec![0xff; length]).unwrap()
}

#[test]
fn a_request_is_read_back() {
    for request in samples() {
        assert_eq!(Request::decode(&request.encode().unwrap()), Some(request));
    }
}

/// One encoding for each request: whatever is altered is another request or none.
#[test]
fn any_altered_byte_is_another_request_or_none() {
    for request in samples() {
        let record = request.encode().unwrap();
        for at in 0..record.len() {
            for flip in 1..=u8::MAX {
                let mut altered = record;
                altered[at] ^= flip;
                if let Some(other) = Request::decode(&altered) {
                    assert_ne!(other, request, "byte {at} ^ {flip}");
                    assert_eq!(other.encode(), Some(altered), "byte {at} ^ {flip}");
                }
            }
        }
    }
}

#[test]
fn another_length_is_no_request() {
    let record = Request::Activate.encode().unwrap();
    assert_eq!(Request::decode(&[]), None);
    assert_eq!(Request::decode(&record[..Request::LEN - 1]), None);
    assert_eq!(Request::decode(&[&record[..], &[0]].concat()), None);
}

#[test]
fn padding_must_be_zero() {
    for request in samples() {
        let mut record = request.encode().unwrap();
        record[Request::LEN - 1] = 1;
        assert_eq!(Request::decode(&record), None);
    }
}

#[test]
fn a_grant_request_that_does_not_fit_is_not_encoded() {
    let too_many = [
        grant_request(&["192.0.2.7", "192.0.2.8", "192.0.2.9"], &[tcp(1, 1)]),
        grant_request(&["192.0.2.7"], &[tcp(1, 1); 17]),
        grant_request(&["192.0.2.7"], &[tcp(1, 1); 300]),
    ];
    for grant_request in too_many {
        assert_eq!(Request::Open(grant_request).encode(), None);
    }
}

#[test]
fn nobody_or_too_many_to_close_is_not_written() {
    for count in [0, Request::SERIALS + 1, 300] {
        let serials = vec![serial(1); count];
        assert_eq!(Request::Close { issuer: [0; CertId::ISSUER], serials }.encode(), None);
    }
    let mut record = Request::CloseIssuer([0; CertId::ISSUER]).encode().unwrap();
    record[0] = 3;
    assert_eq!(Request::decode(&record), None, "nobody to close is no request");
}

#[test]
fn no_or_too_many_tags_are_not_written() {
    for count in [0, Request::TAGS + 1, 300] {
        let tags = vec![[1; 4]; count];
        assert_eq!(Request::StageTags { seconds: 1, tags }.encode(), None);
    }
}

#[test]
fn an_answer_is_read_back_and_nothing_else_is() {
    let mut answers = vec![
        Response::Activated,
        Response::Opened { seconds: 0x0102_0304, clipped: true },
        Response::Opened { seconds: 1, clipped: false },
        Response::Closed { count: 7 },
        Response::NoCapacity,
        Response::Failed,
        Response::OnTrial,
        Response::Tags,
        Response::Issuer(None),
        Response::Issuer(Some([0; CertId::ISSUER])),
        Response::Issuer(Some([7; CertId::ISSUER])),
    ];
    let excesses = (0..=u8::MAX).filter_map(|code| {
        let mut record = [0; Response::LEN];
        record[..2].copy_from_slice(&[4, code]);
        Response::decode(&record)
    });
    answers.extend(excesses);
    assert!(answers.contains(&Response::Refused(DenyReason::Rate)));
    assert_eq!(answers.len(), 11 + 16);
    for answer in answers {
        let record = answer.encode();
        assert_eq!(Response::decode(&record), Some(answer));
        for at in 0..record.len() {
            let mut altered = record;
            altered[at] ^= 0x80;
            if let Some(other) = Response::decode(&altered) {
                assert_ne!(other, answer);
            }
        }
        assert_eq!(Response::decode(&record[1..]), None);
    }
}
