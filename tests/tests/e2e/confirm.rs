//! Rules on trial: who locks themselves out is let in again, whatever has died meanwhile.

mod again;
mod asked;
mod reload;
mod start;

use sknock_tests::Found::{Open, Refused};
use sknock_tests::{Client, Seen, World};

/// Seconds: short, and long enough to look at something before they are over, on a busy machine too.
const SHORT: &str = "8";
/// Longer than any test.
const LONG: &str = "600";

const CLOSED: Seen = Seen { client: [Refused; 2], stranger: [Refused; 2] };
const CLIENT_ONLY: Seen = Seen { client: [Open; 2], stranger: [Refused; 2] };
const EVERYBODY: Seen = Seen { client: [Open; 2], stranger: [Open; 2] };

fn open(alice: &Client<'_>, words: &str) {
    for host in World::GATEWAY {
        alice.open(host, words);
    }
}
