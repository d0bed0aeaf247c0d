//! What can break around the server, broken on purpose: nothing that was used counts again, nothing
//! stays open past its time, protection stays, and the server is back by itself.

mod clock;
mod descriptors;
mod disk;
mod journal;
mod kernel;
mod killed;
mod lists;
mod memory;
mod memory_group;
mod network;
mod obstacles;
mod scarce;
mod slow;
mod state_dir;
