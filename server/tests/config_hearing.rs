//! What administrators may write about where and how knocks are heard.

use std::path::Path;

use sknock_protocol::Service;
use sknock_server::config::{Intake, Problems, Settings, parse};

fn read(text: &str) -> Result<Settings, Problems> {
    parse(text, Path::new("/etc/sknock/config.ini"), [])
}

fn problems(text: &str) -> Vec<String> {
    let problems = read(text).expect_err("a configuration with problems");
    problems.iter().map(ToString::to_string).collect()
}

fn services(texts: &[&str]) -> Vec<Service> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn knocks_are_copied_by_default_and_may_come_to_several_ports() {
    let settings = read("").unwrap();
    assert_eq!((settings.knocks.intake, settings.knocks.group), (Intake::Nflog, 5344));
    assert_eq!(settings.knocks.per_source, 1000);
    let settings = read("knockPort = 10000-60000, 62344 60001").unwrap();
    assert_eq!(settings.knocks.ports, services(&["udp/10000-60001", "udp/62344"]));
    for bad in ["", "0", "65536", "tcp/5", "udp/5", "6-5", "-", "5-", "5-6-7", "a"] {
        let problems = problems(&format!("knockPort = {bad}"));
        assert!(problems[0].contains("1 to 65535, one or several"), "{bad}: {problems:?}");
    }
    let many: Vec<String> = (1..=65).map(|n| (n * 10).to_string()).collect();
    assert!(problems(&format!("knockPort = {}", many.join(",")))[0].contains("Use at most 64"));
}

#[test]
fn intake_by_socket_allows_one_port() {
    let socket = |ports: &str| read(&format!("intake = socket\nknockPort = {ports}"));
    assert_eq!(socket("5").unwrap().knocks.intake, Intake::Socket);
    assert_eq!(socket("5, 5").unwrap().knocks.ports, services(&["udp/5"]));
    for several in ["5, 7", "5-6"] {
        let problems = socket(several).unwrap_err().to_string();
        assert!(problems.contains("Write intake = nflog, or set one port"), "{problems}");
    }
}

#[test]
fn what_does_not_go_together_is_noted() {
    let notes = |text: &str| -> Vec<String> {
        read(text).unwrap().notes.iter().map(ToString::to_string).collect()
    };
    let low = notes("knockPort = 53, 62344");
    assert!(low[0].contains("below 1024 are granted but not answered"), "{low:?}");
    assert!(notes("intake = socket\nknockPort = 53").is_empty());
    let group = notes("intake = socket\nnflogGroup = 7");
    assert!(group[0].contains("nflogGroup has no effect"), "{group:?}");
    let told = |text: &str| notes(text).concat().contains("knocks to a random port");
    assert!(told("protocols = v2, v1"));
    assert!(!told("protocols = v2, v1\nknockPort = 10000-60000"));
}
