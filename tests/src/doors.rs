//! The grants in force, from the kernel.

use serde_json::Value;

use crate::Namespace;

/// An element of one of sknockd's sets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Door {
    /// Address and service: `10.77.1.2 tcp 22`.
    pub what: String,
    /// The port.
    pub port: u64,
    /// Which knock opened it, 16 digits; empty if none did.
    pub knock: String,
    /// For how many seconds more; `None` if for ever.
    pub left: Option<u64>,
}

impl Namespace {
    /// Every grant; none if there is no table.
    pub fn doors(&self) -> Vec<Door> {
        // One set at a time: the set of tags has tens of thousands of elements.
        ["grant4", "grant6"].into_iter().flat_map(|set| self.doors_of(set)).collect()
    }

    fn doors_of(&self, set: &str) -> Vec<Door> {
        let Ok(listing) = self.try_run("nft", &["-j", "list", "set", "inet", "sknock", set]) else {
            return Vec::new();
        };
        let listing: Value = serde_json::from_str(&listing).expect("nft writes JSON");
        let objects = listing["nftables"].as_array().expect("a list");
        let elements = objects.iter().filter_map(|object| object["set"]["elem"].as_array());
        elements.flatten().map(door).collect()
    }
}

fn door(element: &Value) -> Door {
    let element = &element["elem"];
    let key = element["val"]["concat"].as_array().expect("address, transport and port");
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let comment = element["comment"].as_str().unwrap_or_default();
    let knock = comment.strip_prefix("k=").and_then(|rest| rest.split(' ').next());
    Door {
        what: key.iter().map(word).collect::<Vec<_>>().join(" "),
        port: key.last().and_then(Value::as_u64).expect("a port"),
        knock: knock.unwrap_or_default().to_owned(),
        left: element["expires"].as_u64(),
    }
}
