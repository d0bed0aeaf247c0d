//! What the documents promise is there: links, anchors, and commands of the Makefile.

use std::fs;
use std::path::{Path, PathBuf};

/// A document of the project.
struct Document {
    path: PathBuf,
    text: String,
}

impl Document {
    fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(&path);
        Self { text: text.unwrap_or_else(|error| panic!("{}: {error}", path.display())), path }
    }

    fn shown(&self) -> String {
        self.path.strip_prefix(root()).expect("it is below").display().to_string()
    }

    /// The text without blocks of code.
    fn prose(&self) -> String {
        let parts = self.text.split("```");
        parts.step_by(2).collect()
    }

    /// Where `](...)` leads, of every link that stays in the project.
    fn links(&self) -> Vec<String> {
        let prose = self.prose();
        let targets = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let local =
            targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:"));
        local.map(str::to_owned).collect()
    }

    /// The anchors of its headings, as forges make them.
    fn anchors(&self) -> Vec<String> {
        let prose = self.prose();
        let headings = prose.lines().filter(|line| line.starts_with('#'));
        headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
    }
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate lies in the workspace")
}

/// `README.md`, and all in `docs`.
fn documents() -> Vec<Document> {
    let folder = fs::read_dir(root().join("docs")).expect("there is documentation");
    let paths = folder.map(|entry| entry.expect("a folder can be listed").path());
    let mut paths: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect();
    paths.push(root().join("README.md"));
    paths.sort();
    paths.into_iter().map(Document::read).collect()
}

#[test]
fn every_link_leads_somewhere() {
    for document in documents() {
        for link in document.links() {
            let (file, heading) = link.split_once('#').unwrap_or((&link, ""));
            let folder = document.path.parent().expect("a file lies in a folder");
            let path = if file.is_empty() { document.path.clone() } else { folder.join(file) };
            assert!(path.exists(), "{}: no {link}", document.shown());
            if !heading.is_empty() {
                let anchors = Document::read(path).anchors();
                assert!(anchors.contains(&heading.to_owned()), "{}: no {link}", document.shown());
            }
        }
    }
}

#[test]
fn every_make_target_that_is_named_exists() {
    let makefile = fs::read_to_string(root().join("Makefile")).expect("there is a Makefile");
    let targets: Vec<&str> = makefile
        .lines()
        .filter(|line| !line.starts_with(['\t', '#', ' ']) && !line.contains(":="))
        .filter_map(|line| line.split_once(':').map(|(names, _)| names))
        .flat_map(str::split_whitespace)
        .collect();
    assert!(targets.contains(&"test"), "the Makefile is not read rightly: {targets:?}");
    for document in documents() {
        for name in named_targets(&document.text) {
            assert!(targets.contains(&name.as_str()), "{}: no `make {name}`", document.shown());
        }
    }
}

/// What follows `make` in code: in backquotes, or at the beginning of a line of a block.
fn named_targets(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (place, part) in text.split("```").enumerate() {
        let commands: Vec<&str> = if place % 2 == 1 {
            part.lines().map(|line| line.trim_start_matches(['$', '#', ' '])).collect()
        } else {
            part.split('`').skip(1).step_by(2).collect()
        };
        for command in commands {
            let command = command.strip_prefix("sudo ").unwrap_or(command);
            let Some(words) = command.strip_prefix("make ") else { continue };
            // Up to a comment or another command; `A=B` and `-j2` are no targets.
            let end = words.find(['#', '&', '|', ';']).unwrap_or(words.len());
            let words = words[..end].split_whitespace();
            let names = words.filter(|word| !word.contains('=') && !word.starts_with('-'));
            found.extend(names.map(str::to_owned));
        }
    }
    found
}

/// ssh runs it with what it was started with itself: by cron, without `/usr/local`.
#[test]
fn every_program_that_ssh_is_to_start_is_named_by_its_whole_path() {
    let mut found = 0;
    for document in documents() {
        for line in document.text.lines().filter(|line| !line.starts_with('|')) {
            let Some(command) = line.trim().strip_prefix("ProxyCommand ") else { continue };
            assert!(command.starts_with("/usr/local/bin/sknock "), "{}: {line}", document.shown());
            found += 1;
        }
    }
    assert!(found > 0, "the README has one");
}

#[test]
fn names_of_targets_are_found() {
    let text = "Run `make test`, or:\n```\n$ make demo   # shows it\nsudo make install DESTDIR=/x && make doc\n```\nmake sense";
    assert_eq!(named_targets(text), ["test", "demo", "install"]);
    assert_eq!(anchor("What it is: `sknockd` (1)"), "what-it-is-sknockd-1");
}

#[test]
fn every_fuzz_target_has_seeds_and_is_accounted_for() {
    let fuzz = root().join("fuzz");
    let account = Document::read(root().join("docs/RELIABILITY.md")).text;
    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).expect("fuzz is a workspace");
    let targets: Vec<&str> = manifest
        .split("[[bin]]\nname = \"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert!(targets.len() > 5, "the targets are not found: {targets:?}");
    for target in targets {
        let seeds = fuzz.join("seeds").join(target);
        let seeds = fs::read_dir(&seeds).map_or(0, Iterator::count);
        assert!(seeds > 0, "fuzz/seeds/{target}: without seeds a fuzzer gets nowhere in 30 s");
        let row = format!("| `{target}` |");
        assert!(account.contains(&row), "docs/RELIABILITY.md: what came of fuzzing {target}?");
    }
}

/// A block of Rust that nobody compiles is wrong sooner or later: examples are in rustdoc, which does.
#[test]
fn no_document_has_rust_that_nobody_compiles() {
    for document in documents() {
        assert!(!document.text.contains("```rust"), "{}: move it to rustdoc", document.shown());
    }
}

const CRATES: [&str; 10] = [
    "types",
    "protocol",
    "netfilter",
    "gate",
    "storage",
    "server",
    "client-lib",
    "client-cli",
    "certs",
    "tests",
];

#[test]
fn no_document_names_a_file_of_ours_that_is_not_there() {
    let crates = CRATES.map(|name| format!("{name}/"));
    for document in documents() {
        for code in document.prose().split('`').skip(1).step_by(2) {
            let path = code.split([':', ' ']).next().unwrap_or_default();
            let ours = crates.iter().any(|folder| path.starts_with(folder.as_str()));
            let exact =
                path.strip_suffix(".rs").is_some_and(|path| !path.contains(['*', '{', '<']));
            let there = root().join(path).exists();
            assert!(!ours || !exact || there, "{}: no `{path}`", document.shown());
        }
    }
}

/// Words in backquotes that are shaped like the names of tests, which are sentences.
fn named_tests(document: &Document) -> Vec<String> {
    let prose = document.prose();
    let spans = prose.split('`').skip(1).step_by(2);
    let words = spans.flat_map(|span| span.split([' ', ':', ','])).filter(|word| {
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.".contains(c);
        word.matches('_').count() > 2 && word.chars().all(letters) && !word.contains(".rs")
    });
    words.map(str::to_owned).collect()
}

/// The name of each function in this folder that is a test.
fn tests_in(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder of ours").flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") {
            tests_in(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a file of ours");
            let functions = text.split("#[test]\n").skip(1).filter_map(|rest| {
                rest.split_once("fn ").and_then(|(_, rest)| rest.split_once('('))
            });
            found.extend(functions.map(|(name, _)| name.to_owned()));
        }
    }
}

#[test]
fn every_test_that_is_said_to_show_something_exists() {
    let mut tests = Vec::new();
    for folder in CRATES {
        tests_in(&root().join(folder), &mut tests);
    }
    assert!(tests.len() > 500, "the tests are not found: {}", tests.len());
    let exists = |name: &str| match name.strip_suffix("...") {
        Some(beginning) => tests.iter().any(|test| test.starts_with(beginning)),
        None => tests.iter().any(|test| test == name),
    };
    for (name, least) in [("docs/THREATS.md", 50), ("docs/RELIABILITY.md", 10)] {
        let document = Document::read(root().join(name));
        let named = named_tests(&document);
        assert!(named.len() >= least, "{name} names {} tests only", named.len());
        for test in named {
            assert!(exists(&test), "{name}: there is no test {test}");
        }
    }
}

/// A threat that nothing is shown to stop is to be seen as such, and is not forgotten.
#[test]
fn every_threat_names_what_it_is_against_and_what_shows_that_it_is_stopped() {
    let text = Document::read(root().join("docs/THREATS.md")).text;
    let rows = text.split("| shown by |").nth(1).expect("there is the table");
    let rows: Vec<&str> = rows.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() > 25, "the table is not read rightly");
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, _, what, asset, stops, shown, _] = cells.as_slice() else { panic!("{row}") };
        assert!(["services", "the way in", "the host", "privacy"].contains(asset), "{row}");
        assert!(!what.is_empty() && !stops.is_empty(), "{row}");
        assert_eq!(shown.is_empty(), stops.starts_with("can."), "{row}");
    }
}
