//! What somebody may try, tried.

mod flushed;
