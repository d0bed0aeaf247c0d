//! Has nft list what other firewalls do, without the elements of our own table.
//!
//! nft repeats a listing as long as the ruleset changes during it. Sets of grants, and of programs that ban addresses,
//! change many times a second and have many elements, so such a listing may never end. Therefore nft first lists
//! everything but elements, then the elements of the sets that decide about ports, one set at a time. Each call has a
//! time limit.

use std::io;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::sys::read_within::read_within;

/// A ruleset without large sets has a few 100 kB.
const MAX_LISTING: u64 = 32 << 20;

/// The longest message of nft that is read, in bytes.
const MAX_MESSAGE: u64 = 64 << 10;

/// For each call of nft. A listing usually takes some milliseconds.
const LIMIT: Duration = Duration::from_secs(10);

/// How many sets may fail to be listed in time. After that no other is tried.
const MAX_UNFINISHED: usize = 2;

/// nft is not in everybody's `PATH`.
const NFT: [&str; 3] = ["nft", "/usr/sbin/nft", "/sbin/nft"];

/// Types of set elements whose value decides nothing for the evaluator: each rule with one is for some packets only.
const SOME_PACKETS: [&str; 4] = ["ipv4_addr", "ipv6_addr", "ether_addr", "ifname"];

/// What nft has listed.
#[derive(Debug)]
pub(super) struct Listing {
    /// As `nft -j list ruleset` prints it. Sets that are not needed have no elements; those that could not be listed
    /// are left out.
    pub(super) ruleset: Vec<u8>,
    /// The sets that could not be listed in time.
    pub(super) unfinished: Vec<String>,
}

/// Why there is no listing.
#[derive(Debug)]
pub(super) enum ListingError {
    /// nft did not end in time.
    Unfinished,
    /// Anything else, in words.
    Failed(String),
}

/// Lists the ruleset of this network namespace.
pub(super) fn list() -> Result<Listing, ListingError> {
    let failed = |error: serde_json::Error| ListingError::Failed(error.to_string());
    let terse = nft(&["-j", "-t", "list", "ruleset"])?;
    let mut ruleset: Value = serde_json::from_slice(&terse).map_err(failed)?;
    let mut unfinished = Vec::new();
    if let Some(Value::Array(objects)) = ruleset.get_mut("nftables") {
        objects.retain_mut(|object| match needed(object) {
            Some(set) if unfinished.len() < MAX_UNFINISHED => match set.list() {
                Ok(listed) => {
                    *object = listed;
                    true
                }
                Err(ListingError::Unfinished) => {
                    unfinished.push(set.to_string());
                    false
                }
                // It was removed since, perhaps.
                Err(ListingError::Failed(_)) => false,
            },
            // What is left out is not known to the evaluator.
            Some(_) => false,
            None => true,
        });
    }
    Ok(Listing { ruleset: serde_json::to_vec(&ruleset).map_err(failed)?, unfinished })
}

/// A named set or map.
struct NamedSet {
    kind: &'static str,
    family: String,
    table: String,
    name: String,
}

/// The set that this is, if its elements are needed.
fn needed(object: &Value) -> Option<NamedSet> {
    let kind = ["set", "map"].into_iter().find(|kind| object.get(kind).is_some())?;
    let set = &object[kind];
    let text = |key: &str| set[key].as_str().map(str::to_owned);
    let (family, table) = (text("family")?, text("table")?);
    if (&*family, &*table) == ("inet", "sknock") {
        return None;
    }
    let is_one_of = |key: &str, known: &[&str]| match &set[key] {
        Value::Array(several) => several.iter().any(|one| known.iter().any(|known| one == known)),
        one => known.iter().any(|known| one == known),
    };
    // Its elements come and go, so it is judged as an empty one: it may have any.
    let changes = is_one_of("flags", &["timeout", "dynamic"]);
    let of_ports = match &set["type"] {
        Value::Array(parts) => {
            parts.iter().any(|part| !SOME_PACKETS.iter().any(|some| part == some))
        }
        one => !SOME_PACKETS.iter().any(|some| one == some),
    };
    // A map is needed whatever its keys are: its data may be verdicts.
    let wanted = kind == "map" || (of_ports && !changes);
    wanted.then_some(NamedSet { kind, family, table, name: text("name")? })
}

impl NamedSet {
    /// The object with its elements.
    fn list(&self) -> Result<Value, ListingError> {
        let listed = nft(&["-j", "list", self.kind, &self.family, &self.table, &self.name])?;
        let mut listed: Value = serde_json::from_slice(&listed).unwrap_or_default();
        let objects = listed["nftables"].as_array_mut();
        let found = objects.into_iter().flatten().find(|object| object.get(self.kind).is_some());
        found.map(Value::take).ok_or_else(|| ListingError::Failed(format!("{self} is gone")))
    }
}

impl std::fmt::Display for NamedSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { kind, family, table, name } = self;
        write!(f, "table {family} {table}, {kind} {name}")
    }
}

/// What nft prints.
fn nft(arguments: &[&str]) -> Result<Vec<u8>, ListingError> {
    let failed = |why: String| Err(ListingError::Failed(why));
    for program in NFT {
        let mut nft = Command::new(program);
        nft.args(arguments).stdin(Stdio::null());
        match nft.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return failed(format!("cannot run {program}: {error}")),
            Ok(mut child) => {
                let printed = printed(&mut child);
                if printed.is_err() {
                    // It may have ended by itself.
                    drop(child.kill());
                }
                let ended = child.wait();
                let (listed, said) = printed?;
                return match ended {
                    Err(error) => failed(error.to_string()),
                    Ok(status) if !status.success() => {
                        let said = String::from_utf8_lossy(&said);
                        failed(said.lines().next().unwrap_or("nft failed").to_owned())
                    }
                    Ok(_) => Ok(listed),
                };
            }
        }
    }
    failed("nft, which lists them, is not installed".to_owned())
}

/// Standard output and standard error, until both end.
fn printed(child: &mut Child) -> Result<(Vec<u8>, Vec<u8>), ListingError> {
    let nothing = || ListingError::Failed("nft printed nothing".to_owned());
    let read = |error: io::Error| match error.kind() {
        io::ErrorKind::TimedOut => ListingError::Unfinished,
        _ => ListingError::Failed(error.to_string()),
    };
    let output = child.stdout.take().ok_or_else(nothing)?;
    let errors = child.stderr.take().ok_or_else(nothing)?;
    let listed = read_within(output, MAX_LISTING + 1, LIMIT).map_err(read)?;
    if listed.len() as u64 > MAX_LISTING {
        return Err(ListingError::Failed("the ruleset is too large".to_owned()));
    }
    Ok((listed, read_within(errors, MAX_MESSAGE, LIMIT).map_err(read)?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listed(kind: &str, table: &str, more: &Value) -> bool {
        let mut set = json!({ "family": "inet", "table": table, "name": "one" });
        let fields = more.as_object().unwrap().clone();
        set.as_object_mut().unwrap().extend(fields);
        needed(&json!({ kind: set })).is_some()
    }

    #[test]
    fn elements_are_listed_only_where_they_decide_about_ports() {
        let ports = json!({ "type": "inet_service" });
        let both = json!({ "type": ["ipv4_addr", "inet_service"] });
        let addresses = json!({ "type": "ipv4_addr" });
        let banned = json!({ "type": ["ipv4_addr", "inet_service"], "flags": ["timeout"] });
        let dynamic = json!({ "type": "inet_service", "flags": "dynamic" });
        let verdicts = json!({ "type": "ipv4_addr", "map": "verdict" });
        for (kind, more, expected) in [
            ("set", &ports, true),
            ("set", &both, true),
            ("set", &addresses, false),
            ("set", &banned, false),
            ("set", &dynamic, false),
            ("map", &verdicts, true),
        ] {
            assert_eq!(listed(kind, "filter", more), expected, "{kind} {more}");
            assert!(!listed(kind, "sknock", more), "ours: {more}");
        }
    }
}
