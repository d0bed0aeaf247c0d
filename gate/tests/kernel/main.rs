//! The gate against the real kernel, as root, each test in network namespaces of its own. They are
//! held by descriptors only, so they are gone with the test, however it ends.

mod batch;
mod begun_here;
mod blocking;
mod by_hand;
mod capture;
mod dnat;
mod gap;
mod grants;
mod in_place;
mod model;
mod namespace_lock;
mod netns;
mod packets;
mod process;
mod reach;
mod restart;
mod session;
mod setup;
mod table;
mod tags;
mod taken_over;
mod trial;
mod watch;
