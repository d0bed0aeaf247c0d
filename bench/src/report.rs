//! The output of a run: tables on the terminal, and optionally a folder with all tables and plots.

use std::fs;
use std::path::PathBuf;

use crate::figures::Figures;
use crate::plot;
use crate::table::Table;
use crate::targets;

/// Introduction for readers.
const INTRODUCTION: &str = "Written by the bench (`make bench-peers`), all in one run. Machines differ: \
    trust ratios, not figures. What is measured how stands below each table.";

/// Tables are added during the run.
pub(crate) struct Report {
    folder: Option<PathBuf>,
    conditions: String,
    tables: String,
}

impl Report {
    /// Prints `conditions`; the folder gets files at the end.
    pub(crate) fn new(folder: Option<PathBuf>, conditions: String) -> Self {
        println!("# sKnock: figures\n\n{conditions}");
        Self { folder, conditions, tables: String::new() }
    }

    /// Prints a table, unless it is empty.
    pub(crate) fn tell(&mut self, table: &Table) {
        if table.is_empty() {
            return;
        }
        println!("{table}");
        self.tables += &table.to_string();
        self.tables.push('\n');
    }

    /// Prints the results of the targets, and writes `README.md` and the plots.
    pub(crate) fn finish(self, figures: &Figures) {
        let targets = targets::table(figures);
        println!("{targets}");
        let Some(folder) = self.folder else { return };
        let plots = plot::all(figures);
        let shown = plots.iter().map(|(title, name, _)| format!("![{title}]({name})\n\n"));
        let text = format!(
            "# sKnock: figures\n\n{INTRODUCTION}\n\n{}\n{targets}\n{}{}\n",
            self.conditions,
            shown.collect::<String>(),
            self.tables.trim_end(),
        );
        let files = plots.iter().map(|(_, name, svg)| (*name, svg.as_str()));
        fs::create_dir_all(&folder).expect("a folder for figures");
        for (name, content) in files.chain([("README.md", text.as_str())]) {
            let path = folder.join(name);
            fs::write(&path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            println!("wrote {}", path.display());
        }
    }
}
