//! The privileged half: opens the firewall to one address for a while.
//!
//! ```text
//! 256 bytes ──▶ Request ──Ceiling::check──▶ Opening ──Live──▶ elements ──Firewall──▶ kernel
//!  the child     decoded       bounded       merged with what is open     ends them by itself
//! ```
//!
//! The gate knows neither certificates nor the configuration file. It does not believe the network
//! process either: whatever arrives is held to the [`Ceiling`], so a captured network process can
//! open permitted ports for a bounded time at a bounded rate, and nothing else.
//!
//! Start reading at [`Gate`]. `table_spec` says what the table looks like and `grants` what is open, both
//! without a system call; `nft` makes the kernel agree; `watch` notices when somebody else undid it;
//! `bind_group` takes the NFLOG group that knocks are copied to; `namespace_lock` keeps a second gate out; `grant_file`
//! tells the next gate what this one has granted; `trial` has rules that nobody confirms go by themselves.

mod blocked_flows;
mod bound;
mod ceiling;
mod cert_id;
mod conntrack;
mod error;
mod expired;
mod flow;
mod gate;
mod grant_file;
mod grant_key;
mod grants;
mod label;
mod namespace_lock;
mod nflog;
mod nft;
mod origin;
mod outcome;
mod request;
mod response;
mod seed;
mod share;
mod table_spec;
mod trial;
mod uptime;
mod watch;
mod wire;

pub use blocked_flows::BlockedFlows;
pub use bound::Bound;
pub use ceiling::rate::{Pace, TokenBucket};
pub use ceiling::{ApprovedGrant, Ceiling, DenyReason, MAX_PORTS};
pub use cert_id::{CertId, OwnerName};
pub use error::FirewallError;
pub use expired::ExpiredGrants;
pub use flow::FlowKey;
pub use gate::Gate;
pub use gate::closing::ClosedGrant;
pub use gate::saving::UnknownElements;
pub use gate::terminated::Terminated;
pub use grant_file::{GrantFile, SavedGrants};
pub use grant_key::{GrantElement, GrantKey, GrantSet};
pub use grants::GrantTable;
pub use label::{GrantLabel, MAX_COMMENT};
pub use namespace_lock::{NamespaceLock, NamespaceLockError};
pub use nflog::{bind_group, rebind_group};
pub use nft::{Change, Firewall, TABLE, lock_filter};
pub use origin::Origin;
pub use outcome::Outcome;
pub use request::{GrantRequest, Request};
pub use response::Response;
pub use share::{Capacity, Party, ShareExceeded, Shares, SourceNetwork, Tally};
pub use sknock_types::{PortRange, Serial, Transport};
pub use table_spec::block::OnRevoke;
pub use table_spec::capture::{Answers, KnockCapture, SourceLimit};
pub use table_spec::chain::{Chain, ChainName, Hook, Part};
pub use table_spec::rule::{Field, Match, PortOf, Rule, Verdict};
pub use table_spec::{FirewallPolicy, SpecError, TableSpec};
pub use trial::{Rollback, TrialState};
pub use uptime::BootInstant;
pub use watch::{Changes, Watch};
