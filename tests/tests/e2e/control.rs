//! The control socket: who may ask, what is answered, and that nobody who uses it badly is in the way.

mod answers;
mod floods;
mod peers;
mod races;
mod reloads;
mod starting;

use std::time::Duration;

use sknock_tests::wait::Limit;
use sknock_tests::{Client, World};

/// As long as a knock may take, with its answer, on a busy machine; alone it takes milliseconds.
const USUAL: Duration = Duration::from_secs(3);

/// A knock is judged, and a door opens, within the usual time.
fn a_knock_opens(alice: &Client<'_>, world: &World) {
    let sealed = alice.seal_for(&["udp/53"], 1);
    let usual = Limit::new(USUAL);
    sealed.send(&world.client, World::GATEWAY[0]).must_be_granted();
    assert!(!usual.is_over(), "a knock took more than {USUAL:?}");
}
