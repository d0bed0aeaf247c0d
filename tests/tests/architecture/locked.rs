//! Cargo.lock as a graph: which crate is below which, on any system and without a network.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::house;

/// A crate, as `name version` where two versions are locked, else as `name`.
type Locator = String;

/// Every locked crate. What tests alone use is struck out for crates of ours; others' is not locked.
pub(crate) struct Locked {
    dependencies: BTreeMap<Locator, Vec<Locator>>,
}

impl Locked {
    /// Reads Cargo.lock, and the manifests of our crates.
    pub(crate) fn read() -> Self {
        let text = fs::read_to_string(house::root().join("Cargo.lock")).expect("it is committed");
        let mut locked = Self::parse(&text);
        for package in house::packages() {
            let name = package["name"].as_str().expect("each has one").to_owned();
            let kept: BTreeSet<&str> = package["dependencies"]
                .as_array()
                .expect("a list, if empty")
                .iter()
                .filter(|dependency| dependency["kind"] != "dev")
                .filter_map(|dependency| dependency["name"].as_str())
                .collect();
            let listed = locked.dependencies.get_mut(&name).expect("ours is locked, and once");
            listed.retain(|locator| kept.contains(crate_name(locator)));
            let found: BTreeSet<&str> = listed.iter().map(|locator| crate_name(locator)).collect();
            assert_eq!(found, kept, "{name}: Cargo.lock is not what its manifest says");
        }
        locked
    }

    fn parse(text: &str) -> Self {
        let packages: Vec<Vec<&str>> =
            text.split("[[package]]\n").skip(1).map(|package| package.lines().collect()).collect();
        let value = |package: &[&str], key: &str| {
            let found = package.iter().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
            found.expect("each package has it").trim_matches('"').to_owned()
        };
        let mut versions: BTreeMap<String, u32> = BTreeMap::new();
        for package in &packages {
            *versions.entry(value(package, "name")).or_default() += 1;
        }
        let locator = |package: &Vec<&str>| {
            let name = value(package, "name");
            if versions[&name] == 1 {
                name
            } else {
                format!("{name} {}", value(package, "version"))
            }
        };
        let listed = |package: &Vec<&str>| {
            let lines = package.iter().filter_map(|line| line.strip_prefix(" \""));
            lines.map(|line| line.trim_end_matches(['"', ',']).to_owned()).collect()
        };
        let entries = packages.iter().map(|package| (locator(package), listed(package)));
        Self { dependencies: entries.collect() }
    }

    /// The names of `root`, of all that it depends on, and so on.
    pub(crate) fn below(&self, root: &str) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut open = vec![root];
        while let Some(locator) = open.pop() {
            if seen.insert(locator) {
                let below = self.dependencies.get(locator);
                let below = below.unwrap_or_else(|| panic!("Cargo.lock does not have {locator}"));
                open.extend(below.iter().map(String::as_str));
            }
        }
        seen.into_iter().map(|locator| crate_name(locator).to_owned()).collect()
    }
}

/// `libc` of `libc 0.2.1`.
fn crate_name(locator: &str) -> &str {
    locator.split(' ').next().unwrap_or(locator)
}

#[test]
fn what_is_below_is_found_at_any_depth_and_in_the_version_that_is_named() {
    let text = "\
[[package]]
name = \"a\"
version = \"1.0.0\"
dependencies = [
 \"b 2.0.0\",
]

[[package]]
name = \"b\"
version = \"1.0.0\"
dependencies = [
 \"c\",
]

[[package]]
name = \"b\"
version = \"2.0.0\"
dependencies = [
 \"d\",
]

[[package]]
name = \"c\"
version = \"1.0.0\"

[[package]]
name = \"d\"
version = \"1.0.0\"
";
    let locked = Locked::parse(text);
    assert_eq!(locked.below("a"), ["a", "b", "d"].map(str::to_owned).into());
    assert_eq!(locked.below("b 1.0.0"), ["b", "c"].map(str::to_owned).into());
}
