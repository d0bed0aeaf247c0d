//! What the privileged process orders, and what the network process reports: one byte each.

/// An order to the network process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Order {
    /// Take the state directory and begin.
    Begin = b'b',
    /// Finish what is under way, put the state in order, release it and end.
    Finish = b'f',
    /// Report [`Report::AtWork`] as soon as every worker has turned once more.
    Answer = b'a',
}

impl Order {
    /// Reads an order.
    pub fn from_byte(byte: u8) -> Option<Self> {
        [Self::Begin, Self::Finish, Self::Answer].into_iter().find(|order| *order as u8 == byte)
    }
}

/// A report to the privileged process. It decides nothing that the gate would not check itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Report {
    /// Keys, trust and revocation lists are read, confinement is in place.
    Prepared = b'p',
    /// Since [`Order::Answer`] every worker has looked for knocks.
    AtWork = b'w',
}

impl Report {
    /// Reads a report.
    pub fn from_byte(byte: u8) -> Option<Self> {
        [Self::Prepared, Self::AtWork].into_iter().find(|report| *report as u8 == byte)
    }
}
