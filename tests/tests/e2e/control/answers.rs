//! The answers say what happened, and the exit code, too.

use nix::sys::signal::Signal;
use sknock_tests::wait::until;
use sknock_tests::{Authority, Client, Config, ControlLine, Daemon, World, process};

#[test]
fn a_reload_says_what_is_in_force_or_why_the_former_stays() {
    let (world, authority) = (World::new(), Authority::new());
    let config = Config::new(&authority);
    let daemon = Daemon::start(&world.gateway, &config);
    let (network, table) = (daemon.network(), world.gateway.table());
    let broken = [
        ("protectedPorts".to_owned(), "config.ini:1: not of the form KEY = VALUE"),
        ("[DEFAULT]\nprotectedPort = tcp/22\n".to_owned(), "protectedPort"),
        (config.clone().set("serverPFXFile", "none.pfx").text(), "none.pfx"),
        // Only the network process reads the bundle.
        (config.clone().without("PFXPasswdFile").text(), "assword"),
    ];
    for (text, problem) in broken {
        daemon.configure_as(&text);
        for words in ["reload", "reload --confirm 60"] {
            let asked = daemon.tell(words);
            assert_eq!(asked.code, Some(1), "{words}: {}", asked.errors);
            assert!(
                asked.errors.contains("The previous configuration stays in force"),
                "{}",
                asked.errors
            );
            assert!(asked.errors.contains(problem), "{problem}: {}", asked.errors);
            assert_eq!((daemon.network(), world.gateway.table()), (network, table.clone()));
        }
    }
    daemon.configure(&config.set("protectedPorts", "tcp/22, tcp/8080"));
    let asked = daemon.tell("reload");
    assert_eq!(asked.code, Some(0), "{}", asked.errors);
    assert!(asked.answer.contains("config.ini: reject tcp/22, tcp/8080"), "{}", asked.answer);
    assert!(world.gateway.table().unwrap().contains("8080"), "it was answered before it was true");
}

#[test]
fn a_trial_says_until_when_and_a_confirmation_after_it_that_it_comes_too_late() {
    let (world, authority) = (World::new(), Authority::new());
    let config = Config::new(&authority);
    let daemon = Daemon::start(&world.gateway, &config);
    daemon.configure(&config.clone().set("protectedPorts", "tcp/8080"));
    let asked = daemon.tell("reload --confirm 2");
    assert_eq!(asked.code, Some(0), "{}", asked.errors);
    assert!(asked.answer.contains("on trial for 2 s, until "), "{}", asked.answer);
    daemon.wait_for("rolled back to the previous configuration");
    for _ in 0..2 {
        let asked = daemon.tell("confirm");
        assert_eq!(asked.code, Some(75), "{}", asked.errors);
        assert!(asked.errors.contains("the trial has expired"), "{}", asked.errors);
    }
    // With the next reload that is over, too.
    daemon.configure(&config);
    assert_eq!(daemon.tell("reload").code, Some(0));
    assert_eq!(daemon.tell("confirm").code, Some(1));
}

#[test]
fn a_server_that_stands_still_is_named_and_one_that_stops_confirms_nothing() {
    let (world, authority) = (World::new(), Authority::new());
    let config = Config::new(&authority);
    let mut daemon = Daemon::start(&world.gateway, &config);
    daemon.configure(&config.set("protectedPorts", "tcp/8080"));
    assert_eq!(daemon.tell("reload --confirm 600").code, Some(0));
    let before = world.gateway.table();
    process::stop(daemon.parent());
    let mut line = ControlLine::connect(&world.gateway);
    assert!(line.say(b"{\"version\":1,\"request\":\"confirm\"}\n"));
    // Both wait for it when it wakes up: the order to stop counts.
    daemon.signal(Signal::SIGTERM);
    daemon.signal(Signal::SIGCONT);
    assert_eq!(line.answer().expect("an answer"), "stopping");
    assert_eq!(daemon.wait_for_end().code, Some(0));
    assert_ne!(world.gateway.table(), before, "nothing was confirmed");
    until("nobody answers", || daemon.tell("confirm").code == Some(69));
}

#[test]
fn grants_are_listed_page_by_page() {
    let (world, authority) = (World::new(), Authority::new());
    let config = Config::new(&authority);
    let daemon = Daemon::start_settled(&world.gateway, &config);
    // Three pages: two addresses with 64 ports, and one more.
    authority.client("paul", &["udp/40000-40063", "udp/53"]);
    let paul = Client::named("paul", &world.client, &authority);
    for host in World::GATEWAY {
        paul.seal_for(&["udp/40000-40063"], 600).send(&world.client, host).must_be_granted();
    }
    paul.seal_for(&["udp/53"], 600).send(&world.client, World::GATEWAY[0]).must_be_granted();
    let expected = world.gateway.doors().len();
    assert!(expected > 128, "{expected}");
    let (mut line, mut after, mut doors) =
        (ControlLine::connect(&world.gateway), "null".to_owned(), Vec::new());
    loop {
        let request = format!(r#"{{"version":1,"request":{{"grants":{{"after":{after}}}}}}}"#);
        let page = line.ask(&request)["grants"].clone();
        let open = page["open"].as_array().unwrap();
        assert!(open.len() <= 64);
        let door = |grant: &serde_json::Value| {
            let keys = ["address", "service", "single_use", "issuer", "serial"];
            let fields = keys.map(|key| (key.to_owned(), grant[key].clone()));
            serde_json::Value::Object(fields.into_iter().collect())
        };
        doors.extend(open.iter().map(|grant| door(grant).to_string()));
        if page["more"] == false {
            break;
        }
        after = doors.last().unwrap().clone();
    }
    assert_eq!(doors.len(), expected);
    doors.sort();
    doors.dedup();
    assert_eq!(doors.len(), expected, "each once");
    drop(daemon);
}

#[test]
fn closing_all_grants_requires_the_explicit_flag() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::start_settled(&world.gateway, &Config::new(&authority));
    let paul = Client::alice(&world.client, &authority);
    paul.seal_for(&["udp/53"], 600).send(&world.client, World::GATEWAY[0]).must_be_granted();
    let mut line = ControlLine::connect(&world.gateway);
    for which in ["{}", r#"{"name":null}"#, r#"{"all":false}"#, r#"{"all":true,"name":"bob"}"#] {
        let answer = line.ask(&format!(r#"{{"version":1,"request":{{"close":{which}}}}}"#));
        assert!(answer.to_string().contains(r#"\"all\":true"#), "{which}: {answer}");
        assert_eq!(world.gateway.doors().len(), 1, "{which}");
    }
    let asked = daemon.tell("close --all");
    assert_eq!(asked.code, Some(0), "{}", asked.errors);
    assert_eq!(world.gateway.doors(), []);
}
