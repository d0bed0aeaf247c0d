//! Packets of the original sKnock 1.0.0, judged by this server as the original judged them: one test
//! for each, named after it. Deviations stand beside the packets, each with its reason.
//!
//! They are judged by `explain`, from a configuration file as the original has it.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use serde::Deserialize;
use serde_json::Value;
use sknock_protocol::Timestamp;
use sknock_server::commands::explain::explain;
use sknock_server::config;

/// What the original says of its packets.
#[derive(Deserialize)]
struct Vectors {
    pfx_password: String,
    vectors: Vec<Vector>,
}

/// One packet.
#[derive(Deserialize)]
struct Vector {
    id: String,
    file: PathBuf,
    length: usize,
    source_ip: IpAddr,
    server_now: u64,
    server_pfx: PathBuf,
    crl: PathBuf,
    original_server: Original,
}

#[derive(Deserialize)]
struct Original {
    /// Port, IP version, protocol, address; empty if it refused.
    opens_port: Vec<(u16, u8, String, IpAddr)>,
}

/// What we make of it.
#[derive(Deserialize)]
struct Verdict {
    /// `grant`, or the name of a refusal.
    verdict: String,
    /// Why it is not the original's.
    deviation: Option<String>,
}

fn main() -> ExitCode {
    let Vectors { pfx_password, vectors } = read("vectors.json");
    let mut verdicts: BTreeMap<String, Verdict> = read("verdicts.json");
    let mut trials = Vec::new();
    for vector in vectors {
        let verdict = verdicts.remove(&vector.id);
        let password = pfx_password.clone();
        trials.push(Trial::test(vector.id.clone(), move || {
            judged(&vector, &password, &verdict.ok_or("verdicts.json does not know it")?)
        }));
    }
    assert_eq!(trials.len(), 32, "vectors.json lacks some");
    assert!(verdicts.is_empty(), "verdicts of no vector: {:?}", verdicts.keys());
    for kind in ["server.pfx", "server-3des.pfx", "server-modern.pfx"] {
        trials.push(Trial::test(format!("{kind} opens"), move || opens(kind)));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn judged(vector: &Vector, password: &str, ours: &Verdict) -> Result<(), Failed> {
    assert_eq!(fs::read(folder().join(&vector.file))?.len(), vector.length);
    let said = said(vector, password, Some(&vector.crl));
    let refused = said["reason"].as_str();
    assert_eq!(refused.unwrap_or("grant"), ours.verdict, "{said}");
    let original = &vector.original_server.opens_port;
    let as_the_original = match original.first() {
        Some((port, _, transport, address)) if refused.is_none() => {
            assert_eq!(said["services"], serde_json::json!([format!("{transport}/{port}")]));
            assert_eq!(said["address"], address.to_string());
            true
        }
        opened => opened.is_none() == refused.is_some(),
    };
    match (&ours.deviation, as_the_original) {
        (None, true) | (Some(_), false) => Ok(()),
        (None, false) => Err(format!("the original opened {original:?}: {said}").into()),
        (Some(why), true) => Err(format!("no deviation: {why}").into()),
    }
}

/// Without a list, too: the original's files need not name one.
fn opens(kind: &str) -> Result<(), Failed> {
    let Vectors { pfx_password, vectors } = read("vectors.json");
    let good = vectors.into_iter().next().ok_or("vectors.json is empty")?;
    let vector = Vector { server_pfx: Path::new("pki").join(kind), ..good };
    let said = said(&vector, &pfx_password, None);
    if said["verdict"] == "grant" { Ok(()) } else { Err(said.to_string().into()) }
}

/// What `explain` says.
fn said(vector: &Vector, password: &str, list: Option<&Path>) -> Value {
    let text = format!(
        "[DEFAULT]\nprotocols = v2, v1\nserverPFXFile = {}\nPFXPasswd = {password}\ncrlFile = {}\n\
         KNOCKPACKET_MIN_LENGTH = 800\nTIMESTAMP_THRESHOLD_IN_SECONDS = 7\n\
         SIGNATURE_SIZE = 72\nRECV_BUFFER = 1600\nfirewallPolicy = none\n",
        vector.server_pfx.display(),
        list.unwrap_or(Path::new("")).display()
    );
    let settings = config::parse(&text, &folder().join("config.ini"), []);
    let settings = settings.unwrap_or_else(|problems| panic!("{problems}"));
    let (at, from) =
        (Timestamp::from_secs(vector.server_now), SocketAddr::new(vector.source_ip, 0));
    let mut lines = Vec::new();
    explain(&settings, at, from, &[folder().join(&vector.file)], &mut lines).unwrap();
    serde_json::from_slice(&lines).expect("one line for one file")
}

fn read<T: for<'de> Deserialize<'de>>(name: &str) -> T {
    let text = fs::read(folder().join(name)).unwrap_or_else(|why| panic!("{name}: {why}"));
    serde_json::from_slice(&text).unwrap_or_else(|why| panic!("{name}: {why}"))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/v1")
}
