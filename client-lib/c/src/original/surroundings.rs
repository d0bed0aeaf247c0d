//! Options from the environment for apps that were written for the original and cannot set them.

use std::env;
use std::ffi::OsString;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};

use sknock::{ClientBuilder, UnknownProtocol};

use crate::failure::{CallFailure, Outcome};

/// The variables at the time a handle is made.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    /// The original's folder.
    path: Option<OsString>,
    /// `v1` or `v2`, as on the command line.
    protocol: Option<OsString>,
    /// The server's knock port, as on the command line.
    knock_port: Option<OsString>,
}

const PROTOCOL: &str = "SKNOCK_PROTOCOL";
const KNOCK_PORT: &str = "SKNOCK_KNOCK_PORT";

impl Surroundings {
    pub(super) fn read() -> Self {
        Self {
            path: env::var_os("KNOCKPATH"),
            protocol: env::var_os(PROTOCOL),
            knock_port: env::var_os(KNOCK_PORT),
        }
    }

    /// The identity and the server's certificate: below the original's folder if it is set, else in our
    /// folder.
    pub(super) fn files(
        &self,
        ours: impl FnOnce() -> Option<PathBuf>,
    ) -> Result<(PathBuf, PathBuf), CallFailure> {
        if let Some(path) = &self.path {
            let folder = Path::new(path).join("client").join("certificates");
            return Ok((folder.join("devclient.pfx"), folder.join("devserver.cer")));
        }
        let homeless =
            "there is no home directory to search. Set HOME or KNOCKPATH, or use knock_new()";
        let folder = ours().ok_or_else(|| CallFailure::new(Outcome::File, homeless))?;
        Ok((folder.join("identity.pfx"), folder.join("server.cer")))
    }

    /// Applies the options that are set.
    pub(super) fn apply(&self, mut builder: ClientBuilder) -> Result<ClientBuilder, CallFailure> {
        let wrong = |text: String| CallFailure::new(Outcome::Argument, text);
        if let Some(protocol) = &self.protocol {
            let protocol_version = protocol.to_str().unwrap_or_default().parse();
            builder = builder.protocol_version(
                protocol_version
                    .map_err(|error: UnknownProtocol| wrong(format!("{PROTOCOL}: {error}")))?,
            );
        }
        if let Some(port) = &self.knock_port {
            let port = port.to_str().and_then(|port| port.parse::<NonZeroU16>().ok());
            let port =
                port.ok_or_else(|| wrong(format!("{KNOCK_PORT}: write a port, 1 to 65535")))?;
            builder = builder.knock_port(port.get());
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
