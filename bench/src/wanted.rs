//! What the command line asks for.

use std::path::PathBuf;

/// Tables, peers, and where to write.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// None named: all.
    tables: Vec<String>,
    /// Whether others are measured as well.
    pub(crate) peers: bool,
    /// Where plots and all tables go.
    pub(crate) folder: Option<PathBuf>,
}

impl Wanted {
    /// From the words after the program's name.
    pub(crate) fn from_arguments(mut words: impl Iterator<Item = String>) -> Self {
        let mut wanted = Self::default();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--peers" => wanted.peers = true,
                "--into" => {
                    wanted.folder = Some(words.next().expect("--into needs a folder").into());
                }
                _ => wanted.tables.push(word),
            }
        }
        wanted
    }

    /// Whether one of these tables is wanted.
    pub(crate) fn any(&self, names: &[&str]) -> bool {
        self.tables.is_empty() || self.tables.iter().any(|name| names.contains(&name.as_str()))
    }
}
