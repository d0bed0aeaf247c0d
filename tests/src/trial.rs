//! The kernel's state of a trial.

use serde_json::Value;

use crate::Namespace;

impl Namespace {
    /// For how many seconds the rules on trial are still in force, by the kernel; none if nothing is on
    /// trial, or its time is over.
    pub fn left_of_trial(&self) -> Option<u64> {
        let listed = self.try_run("nft", &["--json", "list", "set", "inet", "sknock", "trial"]);
        let listed: Value = serde_json::from_str(&listed.ok()?).expect("nft prints JSON");
        let objects = listed["nftables"].as_array()?;
        let elements =
            objects.iter().filter_map(|object| object["set"]["elem"].as_array()).flatten();
        elements.filter_map(|element| element["elem"]["expires"].as_u64()).max()
    }
}
