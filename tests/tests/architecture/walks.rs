//! The walks in docs/ARCHITECTURE.md: each step names a function that is there and that an earlier
//! step's file calls, and a walk leads through few files.

use std::collections::BTreeSet;
use std::fs;

use crate::house;

/// The heading of each walk, and through how many files it may lead.
const WALKS: [(&str, usize); 3] = [
    ("### From a datagram to a set element", 19),
    ("### From a CRL's URL to a closed grant", 12),
    ("### From the command line to relayed bytes", 12),
];

struct Step {
    file: String,
    function: String,
    /// Whether a process or thread begins here, so that no earlier step calls it.
    is_entry: bool,
}

/// The numbered lines below `heading`: ``1. `file: function` ...``.
fn steps(heading: &str) -> Vec<Step> {
    let map = house::map();
    let (_, section) = map.split_once(heading).unwrap_or_else(|| panic!("no section {heading}"));
    let section = section.split("\n#").next().unwrap_or_default();
    let numbered = section.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit()));
    let step = |line: &str| {
        let named = line.split('`').nth(1).and_then(|named| named.split_once(": "));
        let (file, function) = named.unwrap_or_else(|| panic!("no `file: function` in {line}"));
        let function = function.rsplit("::").next().unwrap_or_default();
        let is_entry = line.contains("` Entry");
        Step { file: file.to_owned(), function: function.to_owned(), is_entry }
    };
    numbered.map(step).collect()
}

fn code(file: &str) -> String {
    let text = fs::read_to_string(house::root().join(file));
    text.unwrap_or_else(|error| panic!("docs/ARCHITECTURE.md names {file}: {error}"))
}

#[test]
fn each_step_of_a_walk_is_called_by_an_earlier_one() {
    for (heading, _) in WALKS {
        let mut earlier = String::new();
        for Step { file, function, is_entry } in steps(heading) {
            let code = code(&file);
            assert!(
                code.contains(&format!("fn {function}("))
                    || code.contains(&format!("fn {function}<")),
                "{heading}: {file} has no function {function}"
            );
            let called = format!("{function}(");
            let calls = earlier.lines().any(|line| line.contains(&called) && !line.contains("fn "));
            assert!(
                is_entry || calls,
                "{heading}: no file before {file} calls {function}, so a step is missing"
            );
            earlier.push_str(&code);
        }
    }
}

#[test]
fn a_walk_leads_through_few_files() {
    for (heading, most) in WALKS {
        let steps = steps(heading);
        let files: BTreeSet<&str> = steps.iter().map(|step| step.file.as_str()).collect();
        assert!(steps.len() >= 8, "{heading} has only {} steps", steps.len());
        assert!(
            files.len() <= most,
            "{heading} leads through {} files, more than {most}: {files:?}",
            files.len()
        );
    }
}
