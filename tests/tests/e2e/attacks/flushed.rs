//! Programs that change the firewall while the server runs.

use sknock_tests::ordeal;

#[test]
fn after_each_of_fifty_flushes_the_table_is_back_with_all_grants() {
    ordeal::flushes(50);
}

#[test]
fn reloads_lose_no_knock_while_others_change_their_rules() {
    ordeal::reloads(5);
}
