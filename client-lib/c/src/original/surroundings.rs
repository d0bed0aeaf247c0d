//! What the environment says to an app that was written for the original and cannot say it itself.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use sknock::ClientBuilder;

use crate::failure::{Failure, Outcome};

/// The variables, as they were when a handle was made.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    /// The original's folder.
    path: Option<OsString>,
    /// The server's UDP port for knocks, also for the command line.
    knock_port: Option<OsString>,
}

const KNOCK_PORT: &str = "SKNOCK_KNOCK_PORT";

impl Surroundings {
    pub(super) fn read() -> Self {
        Self { path: env::var_os("KNOCKPATH"), knock_port: env::var_os(KNOCK_PORT) }
    }

    /// The identity and the server's certificate: below the original's folder if there is one, else
    /// in ours.
    pub(super) fn files(
        &self,
        ours: impl FnOnce() -> Option<PathBuf>,
    ) -> Result<(PathBuf, PathBuf), Failure> {
        if let Some(path) = &self.path {
            let folder = Path::new(path).join("client").join("certificates");
            return Ok((folder.join("devclient.pfx"), folder.join("devserver.cer")));
        }
        let homeless =
            "there is no home folder to look in; set HOME or KNOCKPATH, or use knock_new()";
        let folder = ours().ok_or_else(|| Failure::new(Outcome::File, homeless))?;
        Ok((folder.join("identity.pfx"), folder.join("server.cer")))
    }

    /// Sets the options that are said.
    pub(super) fn apply(&self, mut builder: ClientBuilder) -> Result<ClientBuilder, Failure> {
        if let Some(port) = &self.knock_port {
            let port = port.to_str().and_then(|port| port.parse().ok()).filter(|port| *port > 0);
            builder = builder.knock_port(port.ok_or_else(|| {
                Failure::new(Outcome::Argument, format!("{KNOCK_PORT} must be a port, 1 to 65535"))
            })?);
        }
        Ok(builder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_originals_folder_comes_first() {
        let home = || Some(PathBuf::from("/h/.config/sknock"));
        let none = Surroundings::default();
        let (identity, server) = none.files(home).unwrap();
        assert_eq!(identity, Path::new("/h/.config/sknock/identity.pfx"));
        assert_eq!(server, Path::new("/h/.config/sknock/server.cer"));
        assert!(none.files(|| None).unwrap_err().text.contains("KNOCKPATH"));
        let original = Surroundings { path: Some("/opt/knock".into()), ..none };
        let (identity, server) = original.files(home).unwrap();
        assert_eq!(identity, Path::new("/opt/knock/client/certificates/devclient.pfx"));
        assert_eq!(server, Path::new("/opt/knock/client/certificates/devserver.cer"));
    }
}
