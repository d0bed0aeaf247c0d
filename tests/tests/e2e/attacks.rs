//! What somebody may try, tried: by those who captured the network process, by other programs on the
//! host, and by strangers who listen for any answer.

mod captured;
mod deaf;
mod flushed;
mod mute;
mod silence;
mod thief;
