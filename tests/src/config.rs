//! A configuration file of sknockd in the making.

use std::collections::BTreeMap;
use std::path::Path;

use crate::Authority;

/// Keys and values; other keys have sknockd's defaults.
#[derive(Clone, Debug)]
pub struct Config(BTreeMap<String, String>);

impl Config {
    /// The settings of a server of `authority`. Protects tcp/22 and udp/53, grants last a minute, and a small
    /// timestamp window: a first start accepts knocks after that time.
    pub fn new(authority: &Authority) -> Self {
        let path =
            |path: &Path| path.to_str().expect("temporary files have plain names").to_owned();
        Self(BTreeMap::new())
            .set("serverPFXFile", &path(&authority.file("gate.pfx")))
            .set("PFXPasswdFile", &path(&authority.password_file()))
            .set("user", "nobody")
            .set("stateDir", "state")
            .set("firewallPolicy", "reject")
            .set("protectedPorts", "tcp/22, udp/53")
            .set("PORT_OPEN_DURATION_IN_SECONDS", "60")
            .set("TIMESTAMP_THRESHOLD_IN_SECONDS", "2")
            // Room is taken for as many, and there are many tests at one time.
            .set("replayCapacity", "100000")
    }

    /// With this key set. Paths may be relative to the file's folder.
    #[must_use]
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.0.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Without this key.
    #[must_use]
    pub fn without(mut self, key: &str) -> Self {
        self.0.remove(key);
        self
    }

    /// The file's text.
    pub fn text(&self) -> String {
        let lines = self.0.iter().map(|(key, value)| format!("{key} = {value}\n"));
        std::iter::once("[DEFAULT]\n".to_owned()).chain(lines).collect()
    }
}
