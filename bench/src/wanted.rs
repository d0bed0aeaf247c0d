//! The command line.

use std::path::PathBuf;

/// Tables, peers, and the output folder.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// Empty: all.
    tables: Vec<String>,
    /// Whether other programs are measured as well.
    pub(crate) peers: bool,
    /// The folder for plots and tables.
    pub(crate) folder: Option<PathBuf>,
}

impl Wanted {
    /// Parses the arguments after the program's name.
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

    /// Whether one of these tables is requested.
    pub(crate) fn any(&self, names: &[&str]) -> bool {
        self.tables.is_empty() || self.tables.iter().any(|name| names.contains(&name.as_str()))
    }
}
