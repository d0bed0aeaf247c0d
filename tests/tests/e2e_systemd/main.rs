//! sknockd as systemd runs it: what the unit asks for, and what systemd is told. There is no systemd
//! in these tests; its tools judge the unit, and we listen in its place.

mod ears;
mod trial;
mod unit;
mod watchdog;
