//! No import circle: modules that lie side by side use each other in one direction only.
//!
//! A reader can then start at the module that uses no other, and a part can be taken out. An import
//! leads to the module that defines the name, also if it comes through a `pub use` of another.
//! Between a module and its own submodules both directions are permitted.

use std::collections::{BTreeMap, BTreeSet};

use crate::house;

/// A path of modules below the crate: `["crl", "fetch"]`.
type Path = Vec<String>;

/// The modules of one crate.
struct Crate {
    code: BTreeMap<Path, String>,
    /// For each module, names that it hands on with `pub use`, and where they come from.
    handed_on: BTreeMap<Path, BTreeMap<String, String>>,
}

#[test]
fn no_import_circle() {
    let mut crates: BTreeMap<String, BTreeMap<Path, String>> = BTreeMap::new();
    for source in house::product() {
        let (name, path) = source.path.split_once("/src/").expect("is_product wants it");
        let path = path.trim_end_matches(".rs");
        let path = if path == "lib" { "" } else { path };
        if path != "main" && !path.contains("tests") {
            let path = path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
            crates.entry(name.to_owned()).or_default().insert(path, plain(&source.code()));
        }
    }
    let found: Vec<String> = crates
        .into_iter()
        .flat_map(|(name, code)| {
            let circles = Crate::new(code).circles();
            circles.into_iter().map(move |circle| format!("{name}: {circle}"))
        })
        .collect();
    assert!(found.is_empty(), "modules import each other in a circle:\n{}", found.join("\n"));
}

#[test]
fn a_circle_is_found_through_another_module() {
    let module = |path: &[&str], code: &str| {
        (path.iter().map(|part| (*part).to_owned()).collect(), code.to_owned())
    };
    let circle = BTreeMap::from([
        module(&[], "pub use b::{inner::C as D, B};"),
        module(&["a"], "use crate::{D, std};"),
        module(&["b"], "pub struct B;"),
        module(&["b", "inner"], "fn f() { crate::a::A::new() }"),
    ]);
    assert_eq!(Crate::new(circle).circles(), ["a, b"]);
    let parent = BTreeMap::from([
        module(&["a"], "use crate::b::B;"),
        module(&["b"], "use self::inner::C;"),
        module(&["b", "inner"], "use super::B;"),
    ]);
    assert!(Crate::new(parent).circles().is_empty(), "a module and its submodule are no circle");
}

impl Crate {
    fn new(code: BTreeMap<Path, String>) -> Self {
        let handed_on = code.iter().map(|(path, code)| (path.clone(), names_handed_on(code)));
        Self { handed_on: handed_on.collect(), code }
    }

    /// Each circle as the names of its modules.
    fn circles(&self) -> Vec<String> {
        let mut levels: BTreeMap<Path, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
        for (from, code) in &self.code {
            for to in paths(code).iter().filter_map(|path| self.absolute(from, path)) {
                let to = self.defining(&to, 0);
                let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
                if let (Some(a), Some(b)) = (from.get(shared), to.get(shared)) {
                    let level = levels.entry(from[..shared].to_vec()).or_default();
                    level.entry(a.clone()).or_default().insert(b.clone());
                }
            }
        }
        levels.values().flat_map(circles_of).collect()
    }

    /// `path`, as it is written in `module`, from the crate on; none for other crates' names.
    fn absolute(&self, module: &[String], path: &str) -> Option<Path> {
        let mut parts: Vec<String> = path.split("::").map(str::to_owned).collect();
        let mut base = module.to_vec();
        match parts[0].as_str() {
            "crate" => base.clear(),
            "self" => {}
            "super" => {
                while parts.first().is_some_and(|part| part == "super") {
                    base.pop();
                    parts.remove(0);
                }
                return Some([base, parts].concat());
            }
            first => {
                let child = [module, &[first.to_owned()]].concat();
                return self.code.contains_key(&child).then(|| [base, parts].concat());
            }
        }
        parts.remove(0);
        Some([base, parts].concat())
    }

    /// The module that defines what `path` names.
    fn defining(&self, path: &[String], depth: u8) -> Path {
        let known = (0..=path.len()).rev().find(|length| self.code.contains_key(&path[..*length]));
        let (module, rest) = path.split_at(known.unwrap_or(0));
        let next = rest.first().and_then(|name| self.handed_on.get(module)?.get(name));
        match next.and_then(|next| self.absolute(module, next)) {
            Some(next) if depth < 8 => {
                self.defining(&[next, rest[1..].to_vec()].concat(), depth + 1)
            }
            _ => module.to_vec(),
        }
    }
}

/// Code without texts, so that a path in a message is no import.
fn plain(code: &str) -> String {
    let lines = code.lines().map(|line| line.split(" // ").next().unwrap_or_default());
    let code = lines.collect::<Vec<_>>().join("\n").replace("\\\"", "");
    code.split('"').step_by(2).collect::<Vec<_>>().join("\"\"")
}

/// The statements `use ...;` of `code`: whether each is public, and its tree.
fn uses(code: &str) -> Vec<(bool, &str)> {
    let starts = code.match_indices("use ").filter(|(at, _)| {
        let before = code[..*at].trim_end_matches(' ');
        before.is_empty() || before.ends_with(['\n', ')', '{', ';']) || before.ends_with("pub")
    });
    let tree = |at: usize| code[at + 4..].split(';').next().unwrap_or_default();
    let is_public =
        |at: usize| code[..at].trim_end().ends_with("pub") || code[..at].ends_with(") ");
    starts.map(|(at, _)| (is_public(at), tree(at))).collect()
}

/// The names that `code` hands on, and the path of each.
fn names_handed_on(code: &str) -> BTreeMap<String, String> {
    let trees = uses(code).into_iter().filter(|(is_public, _)| *is_public);
    trees.flat_map(|(_, tree)| expand(tree)).collect()
}

/// All paths in `code` that can lead to another module.
fn paths(code: &str) -> Vec<String> {
    let imports = uses(code).into_iter().filter(|(is_public, _)| !is_public);
    let mut found: Vec<String> =
        imports.flat_map(|(_, tree)| expand(tree)).map(|(_, path)| path).collect();
    let without = code.split(';').filter(|part| !part.trim_start().contains("use "));
    for part in without {
        let words = part.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
        found.extend(words.filter(|word| word.contains("::")).map(str::to_owned));
    }
    found
}

/// `a::{b, c::D as E}` as `b` from `a::b` and `E` from `a::c::D`.
fn expand(tree: &str) -> Vec<(String, String)> {
    let tree = tree.trim();
    let Some((before, inner)) = tree.split_once('{') else {
        let (path, alias) = tree.split_once(" as ").unwrap_or((tree, ""));
        let last = path.trim().rsplit("::").next().unwrap_or_default();
        let name = if alias.is_empty() { last } else { alias.trim() };
        return vec![(name.to_owned(), path.trim().to_owned())];
    };
    let inner = inner.strip_suffix('}').unwrap_or(inner);
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, character) in inner.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inner[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inner[start..]);
    let parts = parts.into_iter().filter(|part| !part.trim().is_empty());
    parts.flat_map(expand).map(|(name, path)| (name, format!("{before}{path}"))).collect()
}

/// Modules that reach each other, both ways.
fn circles_of(uses: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let reached = |from: &String| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(module) = next.pop() {
            for to in uses.get(module).into_iter().flatten() {
                if seen.insert(to) {
                    next.push(to);
                }
            }
        }
        seen
    };
    let all: BTreeMap<&String, BTreeSet<&String>> =
        uses.keys().map(|from| (from, reached(from))).collect();
    let circle = |from: &&String| -> Vec<&str> {
        let there = all[*from].iter().copied();
        there
            .filter(|to| all.get(to).is_some_and(|back| back.contains(*from)))
            .map(String::as_str)
            .collect()
    };
    let circles: BTreeSet<Vec<&str>> =
        all.keys().map(circle).filter(|circle| circle.len() > 1).collect();
    circles.into_iter().map(|circle| circle.join(", ")).collect()
}
