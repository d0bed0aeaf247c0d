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
//! Start reading at [`Gate`]. `rules` says what the table looks like and `live` what is open, both
//! without a system call; `nft` makes the kernel agree; `watch` notices when somebody else undid it;
//! `listen` takes the NFLOG group that knocks are copied to; `claim` keeps a second gate out; `grant_file`
//! tells the next gate what this one has granted; `trial` has rules that nobody confirms go by themselves.

mod answer;
mod bound;
mod ceiling;
mod claim;
mod cuts;
mod door;
mod error;
mod former;
mod gate;
mod grant_file;
mod happened;
mod holder;
mod known;
mod label;
mod listen;
mod live;
mod nft;
mod origin;
mod record;
mod request;
mod rules;
mod service;
mod share;
mod tracked;
mod trial;
mod uptime;
mod watch;
mod way;

pub use answer::Answer;
pub use bound::Bound;
pub use ceiling::rate::{Bucket, Pace};
pub use ceiling::{Ceiling, Excess, MOST_PORTS, Opening};
pub use claim::{Claim, ClaimError};
pub use cuts::Cuts;
pub use door::{Door, Element, Set};
pub use error::Error;
pub use former::Former;
pub use gate::Gate;
pub use gate::closing::ClosedGrant;
pub use gate::severed::Severed;
pub use gate::storing::Unknown;
pub use grant_file::{GrantFile, Recalled};
pub use happened::Happened;
pub use holder::{Holder, Name, Serial};
pub use label::{Label, MOST_COMMENT};
pub use listen::{listen, restore_listener};
pub use live::Live;
pub use nft::{Change, Firewall, TABLE, lock_filter};
pub use origin::Origin;
pub use request::{Request, Wish};
pub use rules::chain::{Chain, ChainName, Hook, Part};
pub use rules::cutting::Ending;
pub use rules::hearing::{Answers, Hearing, Meter};
pub use rules::line::{Field, Line, Match, PortOf, Verdict};
pub use rules::{Contradiction, Policy, Rules};
pub use service::{PortRange, Transport};
pub use share::{Lack, Network, Party, Room, Shares, Tally};
pub use trial::{Fallback, Trial};
pub use uptime::Uptime;
pub use watch::{Changes, Watch};
pub use way::Way;
