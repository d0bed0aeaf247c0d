//! What a peer of the control socket may send: bytes as one connection, which come in parts of a size that
//! the first byte says. Every line gets one answer, and answers are bounded.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sknock_server::control::lines::{Lines, MAX_LINE, NextLine};
use sknock_server::control::messages::{ControlRequest, ControlResponse, Mistake};

fuzz_target!(|input: &[u8]| {
    let [size, bytes @ ..] = input else { return };
    let (mut lines, mut answers) = (Lines::default(), 0_usize);
    let mut left = bytes;
    // As the server does: it reads what there is room for, and takes out one line.
    loop {
        let (part, rest) = left.split_at(left.len().min(1 + usize::from(*size)).min(lines.room()));
        left = rest;
        lines.push(part);
        let was_due = lines.is_due();
        match lines.next_line() {
            NextLine::Line(line) => {
                assert!(was_due && line.len() <= MAX_LINE && !line.contains(&b'\n'));
                answer(&line);
                answers += 1;
            }
            NextLine::TooLong => panic!("inputs are shorter"),
            NextLine::Nothing => {
                assert!(!was_due);
                if left.is_empty() {
                    break;
                }
            }
        }
    }
    assert_eq!(answers, bytes.iter().filter(|byte| **byte == b'\n').count());
});

/// A request means the same when it is written again; what is none is told so, in a line of bounded length.
fn answer(line: &[u8]) {
    match ControlRequest::read(line) {
        Ok(request) => {
            if let ControlRequest::Grants { after: Some(key) } = &request {
                assert!(key.grant_key().is_none_or(|found| found.address == key.address));
            }
            let written = request.clone().line().expect("it can be written");
            let again = ControlRequest::read(&written).expect("it can be read again");
            assert_eq!(format!("{again:?}"), format!("{request:?}"));
        }
        Err(mistake) => {
            if let Mistake::UnknownVersion { requested, supported } = mistake {
                assert_ne!(requested, u64::from(supported));
            }
            let told = ControlResponse::Mistake(mistake).line().expect("it can be written");
            assert!(told.len() < 4096 && told.ends_with(b"\n"));
            assert_eq!(told.iter().filter(|byte| **byte == b'\n').count(), 1);
            assert!(matches!(ControlResponse::read(&told), Ok(ControlResponse::Mistake(_))));
        }
    }
}
