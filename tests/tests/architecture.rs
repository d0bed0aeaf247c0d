//! The house keeps its shape: who may depend on whom, what each crate may touch, and how files look.
//!
//! Each rule says in its message why it is there. Who has a better reason changes the list beside the
//! rule, in the same commit.

#[path = "architecture/circles.rs"]
mod circles;
#[path = "architecture/clocks.rs"]
mod clocks;
#[path = "architecture/crates.rs"]
mod crates;
#[path = "architecture/dependencies.rs"]
mod dependencies;
#[path = "architecture/files.rs"]
mod files;
#[path = "architecture/house.rs"]
mod house;
#[path = "architecture/locked.rs"]
mod locked;
#[path = "architecture/names.rs"]
mod names;
#[path = "architecture/pure.rs"]
mod pure;
#[path = "architecture/unsafe_code.rs"]
mod unsafe_code;
#[path = "architecture/walks.rs"]
mod walks;
