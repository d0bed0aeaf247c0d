//! What the privileged process orders, and what the network process reports: one byte each.

/// An order to the network process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Order {
    /// Take the state directory and begin.
    Begin = b'b',
    /// Finish what is under way, put the state in order, release it and end.
    Finish = b'f',
    /// Report [`NetworkReport::Pong`] as soon as every worker has turned once more.
    Ping = b'a',
}

impl Order {
    /// Reads an order.
    pub fn from_byte(byte: u8) -> Option<Self> {
        [Self::Begin, Self::Finish, Self::Ping].into_iter().find(|order| *order as u8 == byte)
    }
}

/// A report to the privileged process. It decides nothing that the gate would not check itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum NetworkReport {
    /// Keys, trust and revocation lists are read, confinement is in place.
    Prepared = b'p',
    /// Since [`Order::Ping`] every worker has looked for knocks.
    Pong = b'w',
}

impl NetworkReport {
    /// Reads a report.
    pub fn from_byte(byte: u8) -> Option<Self> {
        [Self::Prepared, Self::Pong].into_iter().find(|report| *report as u8 == byte)
    }
}
