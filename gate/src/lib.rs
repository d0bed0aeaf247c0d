//! The privileged half: opens the firewall to one address for a while.
//!
//! ```text
//! 256 bytes ──▶ Request ──Ceiling::check──▶ ApprovedGrant ──GrantTable──▶ elements ──Firewall──▶ kernel
//!  the child     decoded       bounded        merged with what is open       ends them by itself
//! ```
//!
//! The gate knows neither certificates nor the configuration file. It does not trust the network
//! process either: every request is held to the [`Ceiling`], so a compromised network process can
//! open permitted ports for a bounded time at a bounded rate, and nothing else.
//!
//! Start reading at [`Gate`]. `table_spec` says what the table looks like and `grants` what is open, both
//! without a system call; `firewall` makes the kernel agree, by way of `sknock_netfilter`, and its `watch`
//! notices when others undo that; `namespace_lock` keeps a second gate out; `grant_file` tells the next
//! gate what this one has granted; [`TrialState`] has rules end by themselves that no administrator confirms.

mod ceiling;
mod cert_id;
mod error;
mod firewall;
mod gate;
mod grant_file;
mod grant_key;
mod grants;
mod label;
mod namespace_lock;
mod origin;
mod outcome;
mod remembered;
mod request;
mod share;
mod table_spec;
mod tags;

mod uptime;
mod wire;

pub use ceiling::deny_reason::DenyReason;
pub use ceiling::rate::{Pace, TokenBucket};
pub use ceiling::{ApprovedGrant, Ceiling, MAX_PORTS, OpenGrants};
pub use cert_id::{CertId, OwnerName};
pub use error::FirewallError;
pub use firewall::watch::{Changes, Watch};
pub use firewall::{Change, Firewall, TableContent};
pub use gate::Gate;
pub use gate::closing::{ClosedGrant, MatchingGrants};
pub use gate::external::UnknownElements;
pub use gate::terminate::Terminated;
pub use gate::trial::TrialState;
pub use grant_file::{GrantFile, SavedGrants};
pub use grant_key::{GrantElement, GrantKey, GrantSet};
pub use grants::GrantTable;
pub use label::{GrantLabel, MAX_COMMENT};
pub use namespace_lock::{NamespaceLock, NamespaceLockError};
pub use origin::Origin;
pub use outcome::{Outcome, Response};
pub use remembered::{BlockedFlows, ExpiredGrants};
pub use request::{GrantRequest, Request};
pub use share::{Capacity, Party, ShareExceeded, Shares, SourceNetwork, Tally};
pub use sknock_netfilter::flow::FlowKey;
pub use sknock_netfilter::nft::rule::{Chain, ChainName, Match, Rule, Verdict};
pub use sknock_types::{PortRange, Serial, Transport};
pub use table_spec::block::OnRevoke;
pub use table_spec::capture::{Answers, KnockCapture, SourceLimit};
pub use table_spec::chain_kind::ChainKind;
pub use table_spec::{FirewallPolicy, Rollback, SpecError, TableSpec};
pub use tags::{KnockTag, KnockTags, TagChange, TagElements, TagReport, TagsRefused};

pub use uptime::BootInstant;
