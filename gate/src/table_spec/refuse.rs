//! What becomes of a packet without a grant, and how closed ports are kept alike. Pure.

use sknock_netfilter::nft::rule::{Field, Match, Rule, Verdict};
use sknock_types::Transport;

use super::part::Part;
use super::{FirewallPolicy, TableSpec};

impl TableSpec {
    /// The chain `refuse`.
    ///
    /// With `reject`, nothing answers a packet that the kernel has on a live entry, such as a forged
    /// SYN: from Linux 6.3 on, a reset would end that connection.
    pub(super) fn refuse(&self) -> Vec<Rule> {
        let mut chain = Vec::new();
        if self.policy == FirewallPolicy::Reject {
            chain.push(Rule::new([Match::Established], Verdict::Drop));
        }
        chain.extend(self.as_closed());
        chain
    }

    /// As a port where nobody listens answers; with `drop`, not at all.
    pub(super) fn as_closed(&self) -> Vec<Rule> {
        match self.policy {
            FirewallPolicy::None => Vec::new(),
            FirewallPolicy::Drop => vec![Rule::new([], Verdict::Drop)],
            FirewallPolicy::Reject => Self::unreachable(),
        }
    }

    /// What was sent to everybody is answered by nobody.
    fn unreachable() -> Vec<Rule> {
        let tcp = Match::Protocol(Transport::Tcp.number());
        vec![
            Rule::new([Match::NotToHost], Verdict::Drop),
            // Nothing of TCP is answered there by any port, open or closed.
            Rule::new([tcp, Match::Family(true), Match::ToAnycast], Verdict::Drop),
            Rule::new([tcp], Verdict::Reset),
            Rule::new([], Verdict::Unreachable),
        ]
    }

    /// The base chain `resets`, with `reject`. The kernel's resets for ports without a listener echo
    /// the traffic class, and in IPv6 the flow label; those of a `reject` do not. Made alike, they do
    /// not tell a protected port from a closed one.
    pub(super) fn resets() -> Vec<Rule> {
        vec![Rule::goto([Match::TcpReset], Part::PlainReset)]
    }

    /// The chain `plain_reset`. A reset of an open connection is left as it is.
    pub(super) fn plain_reset() -> Vec<Rule> {
        vec![
            Rule::accept([Match::OfOpenSocket]),
            Rule::new([], Verdict::Clear(Field::V4Dscp)),
            Rule::new([], Verdict::Clear(Field::V4Ecn)),
            Rule::new([Match::Family(true)], Verdict::Clear(Field::V6Class)),
        ]
    }
}
