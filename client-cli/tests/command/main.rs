//! The program itself: exit codes, reports, passwords, and its part in a pipe.

#[path = "../../../client-lib/tests/support/world.rs"]
mod support;

mod connect;
mod credentials;
mod hurried;
mod known_here;
mod program;

use program::{alice, echo_service, json, outcome, port, sknock};
use support::{Server, World, answer};

#[test]
fn an_opened_service_is_reported_with_exit_0() {
    let world = World::new();
    let server = Server::granting(&world, "127.0.0.1:0");
    let (knock_port, service) = (port(&server), echo_service());
    let words = format!("knock --knock-port {knock_port} 127.0.0.1 tcp/{service} udp/53");
    let (code, out, err) = outcome(&mut alice(&world, &words));
    assert_eq!((code, err.as_str()), (0, ""));
    let expected =
        format!("tcp/{service}, udp/53 on 127.0.0.1 are open to 127.0.0.1 for 15 s (answer in ");
    assert!(out.starts_with(&expected), "{out}");

    let short = format!("-p 53 -u -4 --knock-port {knock_port} localhost");
    let (code, out, _) = outcome(&mut alice(&world, &short));
    assert_eq!(code, 0);
    assert!(
        out.starts_with("udp/53 on localhost (127.0.0.1) is open to 127.0.0.1 for 15 s"),
        "{out}"
    );
    let heard = server.heard();
    let asked = |at: usize| heard[at].knock.services().iter().map(ToString::to_string);
    assert_eq!(asked(0).collect::<Vec<_>>(), [format!("tcp/{service}"), "udp/53".into()]);
    assert_eq!(asked(1).collect::<Vec<_>>(), ["udp/53"]);
}

#[test]
fn json_is_one_line_for_success_and_failure() {
    let world = World::new();
    let server = Server::start(&world, "127.0.0.1:0", |_, heard| {
        vec![answer(heard, |answer| answer.clipped = true)]
    });
    let words = format!("knock --json --knock-port {} 127.0.0.1 udp/53", port(&server));
    let (code, out, err) = outcome(&mut alice(&world, &words));
    let report = json(&out);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(report["result"], "open");
    assert_eq!(report["verified"], "answer");
    assert_eq!(report["destination"], "127.0.0.1");
    assert_eq!(report["services"], serde_json::json!(["udp/53"]));
    assert_eq!((&report["seconds"], &report["clipped"]), (&15.into(), &true.into()));
    assert!(report["observed"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert!(report["clock_skew_ms"].is_i64() && report["answer_ms"].is_u64());

    let words = "knock --json --attempts 1 --timeout 1 --knock-port 2 127.66.4.1 udp/53";
    let (code, out, _) = outcome(&mut alice(&world, words));
    let report = json(&out);
    assert_eq!(code, 1);
    assert_eq!((&report["result"], &report["error"]), (&"failed".into(), &"not-confirmed".into()));
    assert_eq!(report["exit"], 1);
}

#[test]
fn what_is_not_opened_is_exit_1() {
    let world = World::new();
    let words = "knock --attempts 1 --timeout 1 --knock-port 2 127.66.4.2 tcp/22";
    let (code, out, err) = outcome(&mut alice(&world, words));
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("did not confirm") && err.contains("hint: "), "{err}");
    let server = Server::granting(&world, "127.66.4.2:0");
    let words = format!("knock --knock-port {} 127.66.4.2 tcp/2222", port(&server));
    let (code, _, err) = outcome(&mut alice(&world, &words));
    assert_eq!(code, 1);
    assert!(
        err.contains("the server opened tcp/2222") && err.contains("Start the service"),
        "{err}"
    );
    let (code, _, err) = outcome(&mut alice(&world, "knock no.such.host.invalid tcp/22"));
    assert_eq!(code, 1);
    assert!(err.contains("no.such.host.invalid"), "{err}");
}

#[test]
fn wrong_use_is_exit_2() {
    let world = World::new();
    for words in ["", "knock", "-p 0 gw", "knock gw ssh", "knock --once 127.0.0.1 udp/53"] {
        assert_eq!(outcome(&mut alice(&world, words)).0, 2, "{words}");
    }
    let (code, _, err) = outcome(&mut alice(&world, "knock --address ::1 127.0.0.1 tcp/22"));
    assert_eq!(code, 2, "{err}");
    for words in ["--help", "knock --help", "connect -h", "-p 1 --help", "--version"] {
        let (code, out, _) = outcome(&mut sknock(&world, words));
        assert_eq!(code, 0, "{words}");
        assert!(out.contains("sknock"), "{words}: {out}");
    }
}

#[test]
fn a_clock_that_is_off_is_noted() {
    let world = World::new();
    let server = Server::start(&world, "127.0.0.1:0", |_, heard| {
        let hour = std::time::Duration::from_secs(3600);
        vec![answer(heard, |answer| answer.server_time = answer.server_time.before(hour))]
    });
    let words = format!("knock --knock-port {} 127.0.0.1 udp/53", port(&server));
    let (code, _, err) = outcome(&mut alice(&world, &words));
    assert_eq!(code, 0);
    assert!(err.contains("ahead of that of the server"), "{err}");
}

#[test]
fn unverified_is_exit_0_and_says_so() {
    let world = World::new();
    let words = "knock --no-verify --knock-port 2 127.66.4.3 tcp/2222";
    let (code, out, _) = outcome(&mut alice(&world, words));
    assert_eq!(code, 0);
    assert_eq!(out, "tcp/2222 on 127.66.4.3: knocked, not verified\n");
}
