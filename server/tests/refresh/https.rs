//! Lists over https, from openssl's web server.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rcgen::{CertificateParams, KeyPair};

use crate::world::{Authority, World, authority, good};

/// `openssl s_server` in a folder, ended when dropped.
struct Openssl {
    process: Child,
    url: String,
}

impl Openssl {
    fn new(folder: &Path, authority: &Authority) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".into(), "localhost".into()]).unwrap();
        let certificate = params.signed_by(&key, authority).unwrap();
        std::fs::write(folder.join("web.pem"), key.serialize_pem() + &certificate.pem()).unwrap();
        let mut process = Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0", "-cert", "web.pem", "-WWW"])
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("this test needs the openssl command");
        let lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let accepts = lines.into_iter().find(|line| line.starts_with("ACCEPT"));
        let port = accepts.expect("openssl is ready").rsplit(':').next().unwrap().to_owned();
        Self { process, url: format!("https://127.0.0.1:{port}/crl.der") }
    }
}

impl Drop for Openssl {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[test]
fn only_the_given_authority_makes_a_web_server_trusted() {
    let world = World::new();
    let (web_authority, stranger) = (authority("web"), authority("stranger"));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("crl.der"), good(&world.authority, 1, 5)).unwrap();
    let web = Openssl::new(folder.path(), &web_authority);

    let trusted_pem = web_authority.as_ref().pem();
    let stranger_pem = stranger.as_ref().pem();
    for authorities in [None, Some(stranger_pem.as_bytes())] {
        let mut refresh = world.trusting(&[&web.url], authorities);
        refresh.fetch_now().unwrap();
        assert!(!refresh.is_usable(crate::NOW));
        assert!(world.logged().contains("certificate"));
    }
    let mut refresh = world.trusting(&[&web.url], Some(trusted_pem.as_bytes()));
    refresh.fetch_now().unwrap();
    assert!(world.is_revoked(&refresh, 5), "{}", world.logged());
}
