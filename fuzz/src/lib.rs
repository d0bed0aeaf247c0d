//! What the targets share: genuine knocks with all their keys, and writers of what they corrupt.
//!
//! A fuzzer guesses neither keys nor checksums. So that it gets to what lies behind, each target
//! takes its first byte as a choice of how much is done rightly before the rest of the input is
//! used as it is.

pub mod der;
pub mod genuine;
pub mod original;
pub mod pfx;

use serde_json::Value;
use sknock_protocol::{Datagram, Timestamp};
use sknock_server::knock::pipeline::{Pipeline, Refused};
use sknock_server::knock::policy::Grant;
use sknock_server::knock::replay::ReplayStore;

/// Both steps of a knock that does not wait between them.
pub fn through<R: ReplayStore>(
    pipeline: &Pipeline<R>,
    datagram: Datagram<'_>,
    now: Timestamp,
) -> Result<Grant, Refused> {
    pipeline.decide(pipeline.unveil(datagram, now)?, now)
}

/// Bytes that a vector writes in hexadecimal digits.
fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("hexadecimal digits");
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal digits");
    (0..text.len()).step_by(2).map(byte).collect()
}
