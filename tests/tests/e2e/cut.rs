//! Connections end with what closes their grant, in both directions and for good; nobody else's do.

mod by_hand;
mod feed;
mod gaps;
mod identified;
mod many;
mod redirected;
mod removed;
mod restarted;
mod revoked;
mod scene;
