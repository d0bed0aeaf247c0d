//! What becomes of a packet without a grant, and how closed ports are kept alike. Pure.

use super::chain::Part;
use super::line::{Field, Line, Match, Verdict};
use crate::{Policy, Rules, Transport};

impl Rules {
    /// The chain `refuse`.
    ///
    /// With `reject`, nothing answers a packet that the kernel has on a live entry, such as a forged
    /// SYN: from Linux 6.3 on, a reset would end that connection.
    pub(super) fn refuse(&self) -> Vec<Line> {
        let mut chain = Vec::new();
        if self.policy == Policy::Reject {
            chain.push(Line::new([Match::Established], Verdict::Drop));
        }
        chain.extend(self.as_closed());
        chain
    }

    /// As a port where nobody listens answers; with `drop`, not at all.
    pub(super) fn as_closed(&self) -> Vec<Line> {
        match self.policy {
            Policy::None => Vec::new(),
            Policy::Drop => vec![Line::new([], Verdict::Drop)],
            Policy::Reject => Self::unreachable(),
        }
    }

    /// What was sent to everybody is answered by nobody.
    fn unreachable() -> Vec<Line> {
        let tcp = Match::Protocol(Transport::Tcp.number());
        vec![
            Line::new([Match::NotToHost], Verdict::Drop),
            // Nothing of TCP is answered there by any port, open or closed.
            Line::new([tcp, Match::IsV6(true), Match::ToAnycast], Verdict::Drop),
            Line::new([tcp], Verdict::Reset),
            Line::new([], Verdict::Unreachable),
        ]
    }

    /// The base chain `resets`, with `reject`. The kernel's resets for ports without a listener echo
    /// the traffic class, and in IPv6 the flow label; those of a `reject` do not. Made alike, they do
    /// not tell a protected port from a closed one.
    pub(super) fn resets() -> Vec<Line> {
        vec![Line::goto([Match::TcpReset], Part::PlainReset)]
    }

    /// The chain `plain_reset`. A reset of an open connection is left as it is.
    pub(super) fn plain_reset() -> Vec<Line> {
        vec![
            Line::accept([Match::OfOpenSocket]),
            Line::new([], Verdict::Clear(Field::V4Dscp)),
            Line::new([], Verdict::Clear(Field::V4Ecn)),
            Line::new([Match::IsV6(true)], Verdict::Clear(Field::V6Class)),
        ]
    }
}
