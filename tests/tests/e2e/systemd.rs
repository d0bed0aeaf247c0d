//! sknockd as systemd runs it: what the unit asks for, and what systemd is told. One test boots a machine
//! with systemd; for the others its tools judge the unit, and we listen in its place.

mod admins;
mod booted;
mod captured;
mod ears;
mod trial;
mod unit;
mod watchdog;
