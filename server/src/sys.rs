//! What the operating system gives or takes, apart from sockets: log lines, time, capabilities, notification of systemd,
//! exit codes. Nothing here knows of knocks; every other module may use it.

pub mod capabilities;
pub mod clock;
pub mod exit;
pub(crate) mod local_ports;
pub mod log;
pub mod notify;
pub(crate) mod plain_text;
pub(crate) mod read_within;
