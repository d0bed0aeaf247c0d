//! Builds the settings from the layers, group by group, with the rules that span several keys.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use sknock_protocol::{Service, service};

use super::reader::SettingsReader;
use super::schema;
use super::settings::AllowDeny;
use super::{
    FirewallPolicy, FirewallSettings, GrantSettings, KeySettings, KnockSettings, PasswordSource,
    ProcessSettings, RevocationSettings, Settings, intake,
};

/// The file in the state directory for fetched CRLs.
const FETCHED_LIST: &str = "crl.der";

/// Every value, in the order of the table. The result is valid only if the reader has no problem.
pub(super) fn settings(read: &mut SettingsReader<'_>) -> Settings {
    let keys = keys(read);
    let mut revocation = revocation(read);
    let firewall = firewall(read);
    let grants = grants(read);
    let knocks = knocks(read);
    let process = process(read);
    // Also without URLs: CRLs that were once in force are not forgotten.
    if revocation.file.is_some() || !revocation.urls.is_empty() {
        revocation.saved = Some(process.state.join(FETCHED_LIST));
    }
    foreign_files(read, &keys, &process);
    unprotected(read, &firewall, &grants);
    retired(read);
    let (notes, places) = (Vec::new(), read.places());
    Settings { keys, revocation, firewall, grants, knocks, process, notes, places }
}

fn keys(read: &mut SettingsReader<'_>) -> KeySettings {
    let pfx = read.path(&schema::SERVER_PFX_FILE);
    let password = match (read.secret(), read.optional_path(&schema::PFX_PASSWD_FILE)) {
        (Some(password), Some(_)) => {
            let inline = read.secret_place().unwrap_or("PFXPasswd").to_owned();
            read.problem(
                &schema::PFX_PASSWD_FILE,
                format!("PFXPasswdFile beside PFXPasswd ({inline})"),
                "Keep one of the two, preferably PFXPasswdFile",
            );
            PasswordSource::Inline(password)
        }
        (Some(password), None) => PasswordSource::Inline(password),
        (None, Some(file)) => PasswordSource::File(file),
        (None, None) => PasswordSource::None,
    };
    KeySettings { pfx, password, authorities: read.optional_path(&schema::CA_FILE) }
}

fn revocation(read: &mut SettingsReader<'_>) -> RevocationSettings {
    let tenths_of_a_minute = read.tenths(&schema::CRL_UPDATE_INTERVAL);
    let hours: u64 = read.number(&schema::CRL_STALE_GRACE);
    RevocationSettings {
        file: read.optional_path(&schema::CRL_FILE),
        saved: None,
        urls: read.urls(&schema::CRL_URL),
        interval: Duration::from_secs(tenths_of_a_minute * 6),
        grace: Duration::from_secs(hours * 3600),
        tls_authorities: read.optional_path(&schema::CRL_TLS_CA_FILE),
        ending: read.word(&schema::ON_REVOKE),
    }
}

fn firewall(read: &mut SettingsReader<'_>) -> FirewallSettings {
    let policy = read.word(&schema::FIREWALL_POLICY);
    let protected = read.services(&schema::PROTECTED_PORTS);
    if policy == FirewallPolicy::None && !protected.is_empty() {
        read.problem(
            &schema::PROTECTED_PORTS,
            "protectedPorts has no effect with firewallPolicy = none",
            "Set firewallPolicy to reject or drop, or empty protectedPorts",
        );
    }
    let always_open = always_open(read, policy, &protected);
    for open in &always_open {
        for closed in protected.iter().filter(|closed| closed.overlaps(open)) {
            read.problem(
                &schema::ALWAYS_OPEN_PORTS,
                format!("{open} is in alwaysOpenPorts and {closed} in protectedPorts"),
                "Remove it from one of the two",
            );
        }
    }
    FirewallSettings { policy, protected, always_open, on_exit: read.word(&schema::ON_EXIT) }
}

/// `auto` keeps SSH reachable in deny-all mode.
fn always_open(
    read: &mut SettingsReader<'_>,
    policy: FirewallPolicy,
    protected: &[Service],
) -> Vec<Service> {
    let all_denied = policy != FirewallPolicy::None && protected.is_empty();
    if read.text(&schema::ALWAYS_OPEN_PORTS).eq_ignore_ascii_case("auto") {
        return if all_denied { Service::tcp(22).into_iter().collect() } else { Vec::new() };
    }
    let services = read.services(&schema::ALWAYS_OPEN_PORTS);
    if let Some(place) = read.place(&schema::ALWAYS_OPEN_PORTS) {
        if all_denied && services.is_empty() {
            let what = "all ports are blocked, including SSH";
            let remedy = "Test a knock while another session is open, or write auto";
            read.note(place, what, remedy, true);
        } else if policy == FirewallPolicy::None && !services.is_empty() {
            let what = "alwaysOpenPorts has no effect with firewallPolicy = none";
            read.note(place, what, "Remove it, or set firewallPolicy", false);
        }
    }
    services
}

fn grants(read: &mut SettingsReader<'_>) -> GrantSettings {
    let lasts = read.number(&schema::PORT_OPEN_DURATION);
    let mut longest: u16 = read.number(&schema::MAX_PORT_OPEN_DURATION);
    if longest < lasts {
        // 0 is the placeholder of an invalid value, which is reported already.
        if read.place(&schema::MAX_PORT_OPEN_DURATION).is_some() && longest > 0 {
            read.problem(
                &schema::MAX_PORT_OPEN_DURATION,
                format!(
                    "MAX_PORT_OPEN_DURATION_IN_SECONDS ({longest}) is less than \
                         PORT_OPEN_DURATION_IN_SECONDS ({lasts})"
                ),
                "Raise it, or lower PORT_OPEN_DURATION_IN_SECONDS",
            );
        }
        // the original has no such key, and its configuration files must load
        longest = lasts;
    }
    GrantSettings {
        services: read.services(&schema::ALLOWED_SERVICES),
        lasts,
        longest,
        live: read.number(&schema::MAX_GRANTS),
        per_second: read.number(&schema::MAX_GRANTS_PER_SECOND),
        certificate_share: read.number(&schema::SHARE_OF_CERTIFICATE),
        network_share: read.number(&schema::SHARE_OF_NETWORK),
    }
}

fn knocks(read: &mut SettingsReader<'_>) -> KnockSettings {
    let seconds = read.number(&schema::TIMESTAMP_THRESHOLD);
    let protocols = intake::protocols(read);
    let (ports, intake) = (intake::ports(read), read.word(&schema::INTAKE));
    intake::warn(read, intake, &ports, &protocols);
    KnockSettings {
        ports,
        original: intake::original(read, &protocols),
        protocols,
        intake,
        group: read.number(&schema::NFLOG_GROUP),
        per_source: read.number(&schema::KNOCKS_PER_SOURCE),
        window: Duration::from_secs(seconds),
        source_address: read.word::<AllowDeny>(&schema::SOURCE_ADDRESS) == AllowDeny::Allow,
        second_address: read.word::<AllowDeny>(&schema::SECOND_ADDRESS) == AllowDeny::Allow,
        remembered: read.number(&schema::REPLAY_CAPACITY),
    }
}

fn process(read: &mut SettingsReader<'_>) -> ProcessSettings {
    let mut user = read.text(&schema::USER);
    let plain = !user.is_empty() && !user.contains(|c: char| c == ':' || c.is_whitespace());
    if user == "root" || user == "0" {
        let what = "the network process must not run as root";
        read.problem(&schema::USER, what, "Set a user that owns nothing except stateDir");
        user.clear();
    } else if !plain {
        read.problem(&schema::USER, "not a valid user name", "Write sknock");
        user.clear();
    }
    ProcessSettings {
        user,
        state: state(read),
        workers: read.number(&schema::WORKERS),
        log: read.word(&schema::LOG_FORMAT),
    }
}

/// The path without `.` and a trailing `/`, which would follow a link. `..` is refused: with links, it is not
/// clear which files are inside the folder.
fn state(read: &mut SettingsReader<'_>) -> PathBuf {
    let path = read.path(&schema::STATE_DIR);
    let text = read.text(&schema::STATE_DIR);
    if Path::new(&text).components().any(|part| part == Component::ParentDir) {
        let remedy = "Write an absolute path without .., such as /var/lib/sknock";
        read.problem(&schema::STATE_DIR, format!("stateDir contains ..: {text:?}"), remedy);
        return PathBuf::new();
    }
    path.components().collect()
}

/// The path without `.` and `..`, ignoring links.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

/// The network process owns `stateDir`, so it must not contain files that configure the server.
fn foreign_files(read: &mut SettingsReader<'_>, keys: &KeySettings, process: &ProcessSettings) {
    if process.state.as_os_str().is_empty() {
        return;
    }
    let password = match &keys.password {
        PasswordSource::File(file) => Some(file.as_path()),
        // systemd manages it; it is not configured here.
        PasswordSource::Credential(_) | PasswordSource::Inline(_) | PasswordSource::None => None,
    };
    // crlFile may be there: a CRL is signed, and a start opens it with the rights of the network process
    // (`supervisor/files.rs`).
    let kept_apart = [
        ("this configuration", Some(read.file)),
        ("serverPFXFile", Some(keys.pfx.as_path())),
        ("PFXPasswdFile", password),
        ("caFile", keys.authorities.as_deref()),
    ];
    let state = plain(&process.state);
    let inside = |file: &&Path| plain(file).starts_with(&state);
    for (name, _) in kept_apart.into_iter().filter(|(_, file)| file.as_ref().is_some_and(inside)) {
        read.problem(
            &schema::STATE_DIR,
            format!("{name} is in stateDir, which the network process owns"),
            "Use a separate directory for stateDir, such as /var/lib/sknock",
        );
    }
}

/// Warns about offered services that are not protected: no error, but probably unintended.
fn unprotected(read: &mut SettingsReader<'_>, firewall: &FirewallSettings, grants: &GrantSettings) {
    if firewall.protected.is_empty() {
        return;
    }
    let Some(place) = read.place(&schema::ALLOWED_SERVICES) else { return };
    let bare = |offered: &&Service| !service::all_covered(offered, &firewall.protected);
    for offered in grants.services.iter().filter(bare) {
        let what = format!("allowedServices contains {offered}, protectedPorts does not");
        let remedy = "It is reachable without a knock. To protect it, add it to protectedPorts";
        read.note(place.clone(), what, remedy, true);
    }
}

fn retired(read: &mut SettingsReader<'_>) {
    for key in [&schema::SIGNATURE_SIZE, &schema::RECV_BUFFER] {
        if let Some(place) = read.place(key) {
            let what = format!("{} has no effect: {}", key.name, key.why);
            read.note(place, what, "Remove it", false);
        }
    }
}
