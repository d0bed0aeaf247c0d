//! Opens the saved CRLs. A compromised network process may have written to the folder: no content of it may
//! prevent a start, and nothing is opened that the process's own user may not open.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::{geteuid, setfsgid, setfsuid};
use sknock_storage::{Follow, open_regular};
use tracing::warn;

use super::privilege::Account;

/// Opens the file at `path` if it is usable; otherwise logs the reason.
pub(crate) fn open(path: &Path, account: Account) -> Option<OwnedFd> {
    let opened = if is_in_reach(path, account) {
        acting_as(account, || open_regular(path, Follow::Never))
    } else {
        open_regular(path, Follow::Links)
    };
    match opened {
        Ok(file) => Some(file.into()),
        // Missing CRLs will be fetched.
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            let path = path.display();
            warn!("crlFile: cannot use {path}: {error}. The start continues without it");
            None
        }
    }
}

/// Whether this account could have replaced the file, or a folder above it.
fn is_in_reach(path: &Path, account: Account) -> bool {
    let writes = |(place, folder): (usize, &Path)| {
        folder.symlink_metadata().is_ok_and(|found| {
            let group = found.gid() == account.gid.as_raw() && found.mode() & 0o020 != 0;
            // In a sticky folder such as /tmp only the owner can replace a file.
            let others = found.mode() & 0o002 != 0 && (place == 0 || found.mode() & 0o1000 == 0);
            found.uid() == account.uid.as_raw() || group || others
        })
    };
    path.ancestors().skip(1).enumerate().any(writes)
}

/// Runs `work` with this account's rights to files only.
pub(crate) fn acting_as<T>(
    account: Account,
    work: impl FnOnce() -> io::Result<T>,
) -> io::Result<T> {
    if geteuid() == account.uid {
        return work();
    }
    // The group first: changing the user drops the right to change the group. Both calls only return the
    // previous id, never an error, so they are called again to check.
    let group = setfsgid(account.gid);
    let user = setfsuid(account.uid);
    let changed = setfsuid(account.uid) == account.uid && setfsgid(account.gid) == account.gid;
    let result = if changed { work() } else { Err(io::ErrorKind::PermissionDenied.into()) };
    setfsuid(user);
    setfsgid(group);
    result
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, chown, symlink};
    use std::path::PathBuf;

    use nix::unistd::{Gid, Uid};

    use super::*;

    const ACCOUNT: Account = Account { uid: Uid::from_raw(65534), gid: Gid::from_raw(65534) };

    fn folder(owner: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o711)).unwrap();
        let state = folder.path().join("state");
        fs::create_dir(&state).unwrap();
        chown(&state, Some(owner), Some(owner)).expect("these tests run as root");
        (folder, state.join("crl.der"))
    }

    #[test]
    fn what_the_network_process_may_have_put_there_is_opened_as_its_user_would() {
        let (folder, path) = folder(65534);
        fs::write(&path, "list").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(open(&path, ACCOUNT).is_some());
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert!(open(&path, ACCOUNT).is_none(), "only root may read it");
        fs::remove_file(&path).unwrap();
        let secret = folder.path().join("secret");
        for (content, mode) in [("secret", 0o600), ("public", 0o644)] {
            fs::write(&secret, content).unwrap();
            fs::set_permissions(&secret, Permissions::from_mode(mode)).unwrap();
            symlink(&secret, &path).unwrap();
            assert!(open(&path, ACCOUNT).is_none(), "a link");
            fs::remove_file(&path).unwrap();
        }
        // A parent folder.
        fs::remove_dir(path.parent().unwrap()).unwrap();
        symlink(folder.path(), path.parent().unwrap()).unwrap();
        std::os::unix::fs::lchown(path.parent().unwrap(), Some(65534), None).unwrap();
        fs::write(folder.path().join("crl.der"), "secret").unwrap();
        fs::set_permissions(folder.path().join("crl.der"), Permissions::from_mode(0o600)).unwrap();
        assert!(open(&path, ACCOUNT).is_none(), "a folder that is a link");
        assert!(nix::unistd::access("/etc/shadow", nix::unistd::AccessFlags::R_OK).is_ok());
    }

    #[test]
    fn nobody_is_waited_for() {
        let (_folder, path) = folder(65534);
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        chown(&path, Some(65534), None).unwrap();
        assert!(open(&path, ACCOUNT).is_none());
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(open(&path, ACCOUNT).is_none());
    }

    #[test]
    fn a_list_of_the_administrator_may_be_a_link_and_secret() {
        let (folder, path) = folder(0);
        let secret = folder.path().join("secret");
        fs::write(&secret, "list").unwrap();
        fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
        symlink(&secret, &path).unwrap();
        assert!(open(&path, ACCOUNT).is_some());
    }
}
