//! Manual pages and completions, which are made from the same tables as `--help`. They are part of the sources, so
//! that an installation needs no generator: tests compare them, and `make manual` writes them.

mod config_page;
mod library_page;
mod pages;
mod prose;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_complete::Shell;

pub use config_page::{KeyEntry, config_page};
pub use library_page::library_page;
pub use pages::{ManualSection, manual_pages};

/// One generated file.
#[derive(Debug)]
pub struct GeneratedFile {
    /// Relative to the folder `packaging`.
    pub path: String,
    /// The content.
    pub text: String,
}

/// The completions of a command for bash, zsh and fish, under the names that these look for.
pub fn completions(name: &'static str, command: &Command) -> Vec<GeneratedFile> {
    let files = [
        (Shell::Bash, name.to_owned()),
        (Shell::Zsh, format!("_{name}")),
        (Shell::Fish, format!("{name}.fish")),
    ];
    let file = |(shell, file): (Shell, String)| {
        let mut text = Vec::new();
        let mut command = visible(name, command);
        clap_complete::generate(shell, &mut command, name, &mut text);
        let text = String::from_utf8_lossy(&text).into_owned();
        GeneratedFile { path: format!("completions/{shell}/{file}"), text }
    };
    files.into_iter().map(file).collect()
}

/// Without the commands that only the program itself runs: clap cannot remove one.
fn visible(name: &'static str, command: &Command) -> Command {
    let shown = command.get_subcommands().filter(|one| !one.is_hide_set()).cloned();
    let bare = Command::new(name).args(command.get_arguments()).subcommands(shown);
    bare.disable_help_subcommand(true)
}

/// Whether `make manual` runs this: then the files are written instead of compared.
const WRITES: &str = "SKNOCK_WRITE_MANUAL";

/// Compares the files with those in `packaging`, or writes them.
///
/// # Panics
/// If a file differs or cannot be written.
pub fn compare(files: &[GeneratedFile]) {
    let folder = packaging();
    for GeneratedFile { path, text } in files {
        let path = folder.join(path);
        if env::var_os(WRITES).is_some() {
            fs::create_dir_all(path.parent().unwrap_or(&folder)).expect("the folder can be made");
            fs::write(&path, text).expect("the file can be written");
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(found == *text, "{}: run `make manual`", path.display());
    }
}

fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging")
}
