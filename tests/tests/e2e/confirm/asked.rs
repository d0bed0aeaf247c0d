//! What `sknockd confirm` and `sknockd reload` answer.

use sknock_tests::{Authority, Config, ControlLine, Daemon, Namespace, World};

fn no_server(namespace: &Namespace, authority: &Authority) {
    let nobody = Daemon::stopped(namespace, &Config::new(authority));
    for words in ["confirm", "reload", "reload --confirm 60"] {
        let asked = nobody.tell(words);
        assert_eq!(asked.code, Some(69), "{words}: {}", asked.errors);
        assert!(asked.errors.contains("no sknockd runs"), "{words}: {}", asked.errors);
        assert_eq!(asked.answer, "", "{words}");
    }
}

#[test]
fn confirm_and_reload_fail_without_a_server() {
    let (world, authority) = (World::new(), Authority::new());
    no_server(&world.gateway, &authority);
    let mut daemon = Daemon::start(&world.gateway, &Config::new(&authority));
    no_server(&world.client, &authority);
    daemon.stop();
    no_server(&world.gateway, &authority);
}

#[test]
fn with_nothing_on_trial_there_is_nothing_to_confirm() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::start(&world.gateway, &Config::new(&authority));
    let table = world.gateway.table();
    let asked = daemon.tell("confirm");
    assert_eq!(asked.code, Some(1), "{}", asked.errors);
    assert!(asked.errors.contains("no trial is active"), "{}", asked.errors);
    // From elsewhere, too, the signal does nothing.
    daemon.signal(nix::sys::signal::Signal::SIGUSR1);
    daemon.wait_for("no trial is active");
    assert_eq!(world.gateway.table(), table);
}

#[test]
fn a_reload_without_a_trial_is_one() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::start(&world.gateway, &Config::new(&authority));
    let mark = daemon.mark();
    let asked = daemon.tell("reload");
    assert_eq!(asked.code, Some(0), "{}", asked.errors);
    assert!(asked.answer.contains(&daemon.parent().to_string()), "{}", asked.answer);
    daemon.wait_since(mark, Daemon::ACCEPTING);
    assert!(!world.gateway.table().unwrap().contains("trial"));
}

#[test]
fn an_invalid_trial_time_is_refused() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::start(&world.gateway, &Config::new(&authority));
    for seconds in ["0", "-1", "3601", "1.5", "1m", "18446744073709551617"] {
        for words in [format!("run --confirm={seconds}"), format!("reload --confirm={seconds}")] {
            let asked = daemon.tell(&words);
            assert_eq!(asked.code, Some(2), "{words}: {}", asked.errors);
            assert!(asked.errors.contains("1 to 3600"), "{words}: {}", asked.errors);
        }
    }
    // By hand.
    for number in ["0", "3601", "65535"] {
        let request =
            format!(r#"{{"version":1,"request":{{"reload":{{"confirm_seconds":{number}}}}}}}"#);
        let answer = ControlLine::connect(&world.gateway).ask(&request);
        assert!(answer.to_string().contains("1 to 3600 s"), "{number}: {answer}");
    }
    assert!(!world.gateway.table().unwrap().contains("trial"));
}
