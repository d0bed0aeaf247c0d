//! Which dialects a server understands, as `config.ini` says it, and what the administrator is told.

use std::path::Path;

use sknock_server::config::{AcceptedProtocol, Note, Problems, Settings, parse};

fn read(text: &str) -> Result<Settings, Problems> {
    parse(text, Path::new("/etc/sknock/config.ini"), [])
}

fn problems(text: &str) -> Vec<String> {
    let problems = read(text).expect_err("a configuration with problems");
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn v1_is_off_unless_the_administrator_enables_it() {
    assert_eq!(read("").unwrap().knocks.v1(), None);
    for text in ["protocols = v2, v1", "protocols = V1 v2 v1"] {
        let settings = read(text).unwrap();
        assert_eq!(settings.knocks.protocols, [AcceptedProtocol::V1, AcceptedProtocol::V2]);
        let rules = settings.knocks.v1().unwrap();
        assert_eq!((rules.shortest_frame, rules.any_usage), (800, false));
        let named = |note: &Note| note.warning && note.what.contains("do not name a server");
        assert!(settings.notes.iter().any(named), "{:?}", settings.notes);
    }
    let lax = read("protocols = v2, v1\nv1AnyUsage = yes\nKNOCKPACKET_MIN_LENGTH = 0").unwrap();
    let rules = lax.knocks.v1().unwrap();
    assert_eq!((rules.shortest_frame, rules.any_usage), (0, true));
    assert!(lax.notes.iter().any(|note| note.warning && note.what.contains("whatever it was")));
}

#[test]
fn protocols_must_contain_v2_and_may_contain_v1() {
    for (text, part) in [
        ("protocols =", "does not contain v2"),
        ("protocols = v1", "does not contain v2"),
        ("protocols = v2, 1", "does not support protocol \"1\""),
        ("protocols = v2, v1\nKNOCKPACKET_MIN_LENGTH = 1620", "at most 1619 bytes"),
        ("v1AnyUsage = maybe", "Write yes or no"),
    ] {
        assert!(problems(text).iter().any(|problem| problem.contains(part)), "{text}: {part}");
    }
}

#[test]
fn what_is_about_v1_only_has_no_effect_without_it() {
    for text in ["v1AnyUsage = yes", "KNOCKPACKET_MIN_LENGTH = 900"] {
        let settings = read(text).unwrap();
        let [note] = &settings.notes[..] else { panic!("{:?}", settings.notes) };
        assert!(!note.warning && note.what.contains("protocol v1, which is off"), "{note}");
    }
}
