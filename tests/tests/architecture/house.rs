//! What the rules are applied to: the source files of every crate, and what cargo says of them.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Every folder with Rust code of ours; `fuzz` is a workspace of its own.
const FOLDERS: [&str; 14] = [
    "types",
    "protocol",
    "netfilter",
    "gate",
    "storage",
    "prompt",
    "server",
    "client-lib",
    "client-cli",
    "certs",
    "manual",
    "tests",
    "bench",
    "fuzz",
];

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("this crate lies in the workspace").to_owned()
}

/// What tells people where everything is.
pub(crate) fn map() -> String {
    let path = root().join("docs/ARCHITECTURE.md");
    fs::read_to_string(path).expect("docs/ARCHITECTURE.md is the map of the house")
}

/// A file of the house.
pub(crate) struct Source {
    /// From the workspace's folder, as in `protocol/src/lib.rs`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// Whether it goes into a program, not into a test.
    pub(crate) fn is_product(&self) -> bool {
        let product = [
            "types/",
            "protocol/",
            "netfilter/",
            "gate/",
            "storage/",
            "prompt/",
            "server/",
            "client-lib/",
            "client-cli/",
            "certs/",
        ];
        let test = self.path.ends_with("/tests.rs") || !self.path.contains("/src/");
        product.iter().any(|folder| self.path.starts_with(folder)) && !test
    }

    /// Its code without comments and without the tests at its end.
    pub(crate) fn code(&self) -> String {
        let end = self.text.find("#[cfg(test)]\nmod tests {").unwrap_or(self.text.len());
        let lines = self.text[..end].lines();
        let code = lines.map(|line| if line.trim_start().starts_with("//") { "" } else { line });
        code.collect::<Vec<_>>().join("\n")
    }

    /// The numbers of the lines of its code in which `word` stands as a whole word.
    pub(crate) fn lines_with(&self, word: &str) -> Vec<usize> {
        let code = self.code();
        let lines = code.lines().enumerate().filter(|(_, line)| has_word(line, word));
        lines.map(|(number, _)| number + 1).collect()
    }
}

/// All files of ours that end in `.rs`.
pub(crate) fn sources() -> Vec<Source> {
    let root = root();
    let mut paths = Vec::new();
    for folder in FOLDERS {
        collect(&root.join(folder), &mut paths);
    }
    assert!(paths.len() > 100, "only {} source files found: look where they are", paths.len());
    let read = |path: PathBuf| Source {
        text: fs::read_to_string(&path).expect("a source file is readable text"),
        path: path.strip_prefix(&root).expect("it is below").display().to_string(),
    };
    paths.into_iter().map(read).collect()
}

/// Those that [`Source::is_product`].
pub(crate) fn product() -> Vec<Source> {
    sources().into_iter().filter(Source::is_product).collect()
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
    {
        let path = entry.expect("a folder can be listed").path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

fn has_word(line: &str, word: &str) -> bool {
    let inner =
        |character: Option<char>| character.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| {
        !inner(line[..at].chars().next_back()) && !inner(line[at + word.len()..].chars().next())
    })
}

/// What `cargo` prints.
pub(crate) fn cargo(arguments: &[&str]) -> String {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(arguments)
        .args(["--offline", "--locked"])
        .current_dir(root())
        .output()
        .expect("cargo runs this test, so it can be run");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {arguments:?}:\n{errors}");
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}

/// Our crates, as `cargo metadata` describes them.
pub(crate) fn packages() -> Vec<Value> {
    let text = cargo(&["metadata", "--no-deps", "--format-version=1"]);
    let mut metadata: Value = serde_json::from_str(&text).expect("cargo writes JSON");
    match metadata["packages"].take() {
        Value::Array(packages) => packages,
        other => panic!("no list of packages: {other}"),
    }
}
