//! Variables that look as if they were settings, and are none: told, not passed over.

use std::path::Path;

use sknock_server::config::{Settings, parse};

const TEXT: &str = "[DEFAULT]\nserverPFXFile = a.pfx\nprotectedPorts = tcp/22\n";

fn settings(text: &str, variables: &[(&str, &str)]) -> Settings {
    let variables = variables.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
    parse(text, Path::new("/etc/sknock/config.ini"), variables).unwrap()
}

fn notes(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    settings(text, variables).notes.iter().map(ToString::to_string).collect()
}

#[test]
fn an_environment_variable_that_resembles_a_key_is_reported() {
    let before = notes(TEXT, &[]).len();
    for (name, expected) in [
        ("SKNOCK_KNOCKPROT", "Did you mean SKNOCK_KNOCKPORT?"),
        ("SKNOCK_STATE_DIR", "Did you mean SKNOCK_STATEDIR?"),
        ("SKNOCK_PROTECTED_PORTS", "Did you mean SKNOCK_PROTECTEDPORTS?"),
        ("SKNOCK_KNOCK_PORT", "SKNOCK_KNOCKPORT"),
        ("SKNOCK_PROTOCOL", "SKNOCK_PROTOCOLS"),
        ("sknock_knockport", "Did you mean SKNOCK_KNOCKPORT?"),
    ] {
        let notes = notes(TEXT, &[(name, "1")]);
        let told =
            notes.iter().find(|note| note.contains(&format!("environment variable {name}:")));
        assert!(told.is_some_and(|told| told.contains(expected)), "{name}: {notes:?}");
    }
    for other in [
        "SKNOCK_LOG",
        "SKNOCK_IDENTITY",
        "SKNOCK_SERVER_CERT",
        "SKNOCK_PASSWORD_FILE",
        "SKNOCK_PFX_PASSWORD",
        "SKNOCK_FOO",
        "KNOCKPROT",
        "PATH",
    ] {
        assert_eq!(notes(TEXT, &[(other, "1")]).len(), before, "{other}");
    }
}

#[test]
fn a_configured_proxy_is_reported_as_unused_where_crls_are_fetched() {
    let fetching = format!("{TEXT}crlUrl = http://www.example.org/crl.der\n");
    for name in ["http_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        let set = [(name, "http://10.0.0.1:3128"), ("no_proxy", "localhost")];
        let found = notes(&fetching, &set);
        let told =
            found.iter().find(|note| note.contains(&format!("environment variable {name}:")));
        let told = told.unwrap_or_else(|| panic!("{name}: {found:?}"));
        assert!(told.contains("does not use proxies") && told.contains("crlUrl"), "{told}");
        assert!(!told.contains("3128"), "it may hold a password: {told}");
        assert_eq!(notes(TEXT, &set).len(), notes(TEXT, &[]).len());
        assert_eq!(notes(&fetching, &[(name, "")]).len(), notes(&fetching, &[]).len());
    }
}
