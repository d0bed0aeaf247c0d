//! Names say what a thing is. Words that fit everything gather everything.

use std::collections::BTreeMap;

use crate::house;

/// Words that say nothing of what they name.
const EMPTY: [&str; 7] = ["util", "common", "manager", "handler", "helper", "misc", "stuff"];

const REASON: &str = "a name that fits everything gathers everything; use the field's own word";

#[test]
fn no_file_has_an_empty_name() {
    for source in house::sources() {
        let path = source.path.to_ascii_lowercase();
        let part = path.split(['/', '_', '-', '.']).find(|part| is_empty(part));
        assert_eq!(part, None, "{}: {REASON}", source.path);
        assert!(
            !path.ends_with("/mod.rs"),
            "{}: a module is `foo.rs` with `foo/`, so that a tab in an editor says its name",
            source.path
        );
    }
}

#[test]
fn no_item_has_an_empty_name() {
    const ITEMS: [&str; 7] = ["struct", "enum", "trait", "type", "mod", "fn", "macro_rules!"];
    for source in house::sources() {
        let code = source.code();
        let words: Vec<&str> = code.split_whitespace().collect();
        for pair in words.windows(2).filter(|pair| ITEMS.contains(&pair[0])) {
            let name = pair[1].split(|c: char| !c.is_alphanumeric() && c != '_').next();
            let name = name.unwrap_or_default();
            let part = parts(name).into_iter().find(|part| is_empty(part));
            assert_eq!(part, None, "{}: {} {name}: {REASON}", source.path, pair[0]);
            assert!(
                !name.starts_with("get_"),
                "{}: fn {name}: a function is named after what it gives (Rust API guidelines, \
                 C-GETTER)",
                source.path
            );
        }
    }
}

const C_API: &str = "the C library's; the names in sknock.h are made of it";

/// Types that have one name and one meaning, and are written twice.
const TWICE: [(&str, &str); 6] = [
    ("Client", C_API),
    ("Identity", C_API),
    ("Outcome", C_API),
    ("Verified", C_API),
    ("FirewallPolicy", "the word of config.ini, and the rule that the gate makes of it"),
    ("OnRevoke", "the word of config.ini, and the rule that the gate makes of it"),
];

#[test]
fn no_two_types_have_one_name() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in house::sources().iter().filter(|source| source.is_product()) {
        for line in source.code().lines() {
            let mut words = line.split_whitespace().skip_while(|word| word.starts_with("pub"));
            let is_item = ["struct", "enum", "trait", "union", "type"]
                .contains(&words.next().unwrap_or_default());
            // What is indented is the type of a trait's implementation, or local to a function.
            if is_item && !line.starts_with(' ') {
                let name = words.next().unwrap_or_default();
                let name: String =
                    name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                places.entry(name).or_default().push(source.path.clone());
            }
        }
    }
    let excepted = |name: &String| TWICE.iter().any(|(twice, _)| twice == name);
    let found: BTreeMap<_, _> =
        places.iter().filter(|(name, at)| at.len() > 1 && !excepted(name)).collect();
    assert!(found.is_empty(), "one name, one meaning; rename all but one of {found:?}");
    for (name, reason) in TWICE {
        assert!(
            places.get(name).is_some_and(|at| at.len() > 1),
            "{name} is no exception: {reason}"
        );
    }
}

fn is_empty(part: &str) -> bool {
    EMPTY.iter().any(|empty| part == *empty || part.strip_suffix('s') == Some(empty))
}

/// The words of a name in either style: `KnockSocket` and `knock_socket` have two.
fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for character in name.chars() {
        if character == '_' || character.is_uppercase() {
            parts.push(String::new());
        }
        if let (Some(last), true) = (parts.last_mut(), character != '_') {
            last.extend(character.to_lowercase());
        }
    }
    parts
}

#[test]
fn both_styles_of_names_have_words() {
    assert_eq!(parts("KnockSocket"), ["", "knock", "socket"]);
    assert_eq!(parts("knock_utils"), ["knock", "utils"]);
    assert!(is_empty("utils") && is_empty("manager") && !is_empty("commonly"));
}
