//! Processes that are killed.

use sknock_tests::ordeal;

#[test]
fn twenty_kills_at_random_moments_under_load() {
    ordeal::kills(20);
}
