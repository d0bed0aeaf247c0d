//! Formats a result: text for people, JSON for programs, with the same content.

use serde_json::{Value, json};
use sknock_certs::{Authority, CertificateKind, Crl, Issued, RegisterEntry, Revoked};
use sknock_protocol::service::{MOST_PORTS, ports};
use sknock_protocol::{Service, Timestamp};

/// One result in both formats.
pub(crate) struct CommandReport {
    pub(crate) text: String,
    pub(crate) json: Value,
}

/// After `init`.
pub(crate) fn init(authority: &Authority, list: &Crl) -> CommandReport {
    let (name, end) = (authority.name(), authority.not_after().date());
    let list = crl(authority, list);
    let text = format!("CA \"{name}\" is ready, valid until {end}\n{}", list.text);
    json_with(text, json!({ "name": name, "notAfter": end }), list)
}

/// After `server` and `client`.
pub(crate) fn issued(issued: &Issued) -> CommandReport {
    let Issued { entry, clipped, pfx, certificate } = issued;
    let mut text = String::new();
    let mut line = |line: String| text.extend([line.as_str(), "\n"]);
    match entry.kind {
        CertificateKind::Server => {
            line(format!("wrote {}: keep it on the server only", pfx.display()));
        }
        CertificateKind::Client => {
            line(format!("wrote {}: for {} only", pfx.display(), entry.name));
        }
    }
    if let Some(certificate) = certificate {
        line(format!("wrote {}: for the clients of the server", certificate.display()));
    }
    line(format!("serial {}, valid until {}", entry.serial, entry.not_after.date()));
    if *clipped {
        line("shortened to the expiry of the CA certificate".to_owned());
    }
    if entry.kind == CertificateKind::Client {
        line(format!("opens {}", services(&entry.services)));
        if ports(&entry.services) > MOST_PORTS {
            line(format!(
                "note: one knock opens at most {MOST_PORTS} ports; {} must name services",
                entry.name
            ));
        }
    }
    let mut json = json!(entry);
    json["clipped"] = json!(clipped);
    json["pfx"] = json!(pfx.to_string_lossy());
    if let Some(certificate) = certificate {
        json["certificate"] = json!(certificate.to_string_lossy());
    }
    CommandReport { text, json }
}

/// After `revoke`.
pub(crate) fn revoked(authority: &Authority, revoked: &Revoked) -> CommandReport {
    let Revoked { entry, already, crl: list } = revoked;
    let since = entry.revoked.map(|revocation| revocation.at.date()).unwrap_or_default();
    let list = crl(authority, list);
    let text = if *already {
        format!(
            "{} (serial {}) was revoked already, on {since}\n{}",
            entry.name, entry.serial, list.text
        )
    } else {
        format!("revoked {} (serial {})\n{}", entry.name, entry.serial, list.text)
    };
    let mut json = json!(entry);
    json["already"] = json!(already);
    json_with(text, json, list)
}

/// After `crl`.
pub(crate) fn crl(authority: &Authority, list: &Crl) -> CommandReport {
    let file = authority.crl_file();
    let due = list.next_update.date();
    let text = format!("wrote {}: number {}, valid until {due}\n", file.display(), list.number);
    let mut json = json!(list);
    json["file"] = json!(file.to_string_lossy());
    CommandReport { text, json }
}

/// For `list`.
pub(crate) fn list(
    authority: &Authority,
    entries: &[RegisterEntry],
    now: Timestamp,
) -> CommandReport {
    let width = entries.iter().map(|entry| entry.name.as_str().len()).max().unwrap_or(0).max(4);
    let mut text = format!(
        "{:width$}  KIND    STATE    UNTIL                 {:32}  OPENS\n",
        "NAME", "SERIAL"
    );
    for entry in entries {
        let (name, kind) = (entry.name.as_str(), entry.kind.to_string());
        let (state, until) = (entry.state(now).to_string(), entry.not_after.date());
        let (serial, opens) = (entry.serial, services(&entry.services));
        let line = format!("{name:width$}  {kind:6}  {state:7}  {until}  {serial}  {opens}");
        text.extend([line.trim_end(), "\n"]);
    }
    let certificates = entries.iter().map(|entry| {
        let mut json = json!(entry);
        json["state"] = json!(entry.state(now).to_string());
        json
    });
    let json = json!({
        "name": authority.name(),
        "notAfter": authority.not_after().date(),
        "certificates": certificates.collect::<Vec<_>>(),
    });
    CommandReport { text, json }
}

fn json_with(text: String, mut json: Value, list: CommandReport) -> CommandReport {
    json["crl"] = list.json;
    CommandReport { text, json }
}

fn services(services: &[Service]) -> String {
    services.iter().map(Service::to_string).collect::<Vec<_>>().join(" ")
}
