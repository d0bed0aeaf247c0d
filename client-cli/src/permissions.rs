//! Notes about other users' access to the files of a knock, one line each, as ssh does. Not an error: the
//! files are the user's, and the key in the identity is encrypted with the password.

use std::fs::Metadata;
use std::path::Path;

use sknock::paths;

/// Access that other users must not have to a file.
#[derive(Clone, Copy)]
pub(crate) enum FileSecrecy {
    /// Writing. The content is not secret.
    Public,
    /// Reading and writing; the value names the content.
    Secret(&'static str),
}

/// Notes about the identity, the server's certificate, and their folders if these are ours.
pub(crate) fn note_files(identity: &Path, certificate: &Path) {
    for folder in folders(identity, certificate) {
        note_path(&folder, FileSecrecy::Public);
    }
    note_path(identity, FileSecrecy::Secret("your key"));
    note_path(certificate, FileSecrecy::Public);
}

/// Our configuration folder and its subfolder, if a file in them is used: a file named by the user may be
/// anywhere.
fn folders(identity: &Path, certificate: &Path) -> Vec<std::path::PathBuf> {
    let Some(folder) = paths::folder() else { return Vec::new() };
    let servers = folder.join("servers");
    let used = |folder: &Path| {
        [identity, certificate]
            .iter()
            .any(|file| file.parent().is_some_and(|own| own.starts_with(folder)))
    };
    [folder, servers].into_iter().filter(|folder| used(folder)).collect()
}

fn note_path(path: &Path, guarded: FileSecrecy) {
    // Errors are reported when the file is opened.
    if let Ok(metadata) = path.metadata() {
        note(path, &metadata, guarded);
    }
}

/// Notes other users' access to this file or folder; not to a pipe, which no longer exists afterwards.
#[cfg(unix)]
pub(crate) fn note(path: &Path, metadata: &Metadata, guarded: FileSecrecy) {
    use std::os::unix::fs::PermissionsExt;
    let mode = metadata.permissions().mode();
    let (changes, reads) = (mode & 0o022 != 0, mode & 0o044 != 0);
    if !(metadata.is_file() || metadata.is_dir()) {
        return;
    }
    let path = path.display();
    let (what, chmod) = match (guarded, changes, reads) {
        (FileSecrecy::Public, true, _) => (format!("change {path}"), "go-w"),
        (FileSecrecy::Secret(what), true, true) => {
            (format!("change or read {path}, which has {what}"), "600")
        }
        (FileSecrecy::Secret(_), true, false) => (format!("change {path}"), "600"),
        (FileSecrecy::Secret(what), false, true) => {
            (format!("read {path}, which has {what}"), "600")
        }
        (_, false, _) => return,
    };
    crate::report::note(&format!("other users can {what}. Run: chmod {chmod} {path}"));
}

#[cfg(not(unix))]
pub(crate) fn note(_: &Path, _: &Metadata, _: FileSecrecy) {}
