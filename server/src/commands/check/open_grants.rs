//! What is open now, as `nft -j list ruleset` shows our own table. Pure.

use std::net::IpAddr;

use serde_json::Value;

/// The sets of doors that stay open for a while. Those for a single connection are no way back in.
const SETS: [&str; 2] = ["grant4", "grant6"];

/// Whether our table is in the kernel at all.
pub(super) fn is_there(json: &[u8]) -> bool {
    let listed: Value = serde_json::from_slice(json).unwrap_or_default();
    let mut objects = listed["nftables"].as_array().into_iter().flatten();
    objects.any(|object| {
        let table = &object["table"];
        table["family"] == "inet" && table["name"] == "sknock"
    })
}

/// The TCP ports that are open to somebody, and to whom.
pub(super) fn open(json: &[u8]) -> Vec<(IpAddr, u16)> {
    let listed: Value = serde_json::from_slice(json).unwrap_or_default();
    let objects = listed["nftables"].as_array().into_iter().flatten();
    let sets = objects.map(|object| &object["set"]).filter(|set| {
        (&set["family"], &set["table"]) == (&"inet".into(), &"sknock".into())
            && SETS.iter().any(|name| set["name"] == *name)
    });
    let elements = sets.filter_map(|set| set["elem"].as_array()).flatten();
    elements.filter_map(door).collect()
}

fn door(element: &Value) -> Option<(IpAddr, u16)> {
    // Bare, or with its timeout and comment around it.
    let value = element.get("elem").map_or(element, |element| &element["val"]);
    let [address, transport, port] = value["concat"].as_array()?.as_slice() else { return None };
    if transport != "tcp" && transport != 6 {
        return None;
    }
    Some((address.as_str()?.parse().ok()?, u16::try_from(port.as_u64()?).ok()?))
}
