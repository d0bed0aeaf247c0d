//! The gate against the real kernel, as root, each test in network namespaces of its own. They are
//! held by descriptors only, so they are gone with the test, however it ends.

mod by_hand;
mod claim;
mod crowd;
mod cutting;
mod dnat;
mod gap;
mod grants;
mod hearing;
mod in_place;
mod model;
mod netns;
mod packets;
mod process;
mod reach;
mod restart;
mod session;
mod setup;
mod table;
mod trial;
mod watch;
