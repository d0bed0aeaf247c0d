//! The C library: real C and Python programs, compiled and linked against what `make install` puts in
//! place, knock on a real sknockd. Most of them under valgrind.

#[path = "c_library/exported.rs"]
mod exported;
#[path = "c_library/installed.rs"]
mod installed;
#[path = "c_library/loader.rs"]
mod loader;
#[path = "c_library/original.rs"]
mod original;
#[path = "c_library/run.rs"]
mod run;
#[path = "c_library/signals.rs"]
mod signals;

use std::process::Command;

use sknock_tests::Found::{Open, Refused};
use sknock_tests::{Seen, World};

use installed::{Linked, compiled, house};
use run::{Ran, Scene, checked, plain};

#[test]
fn the_c_example_reaches_a_hidden_service() {
    let world = World::new();
    let scene = Scene::new(&world);
    assert_eq!(world.tcp(22), Seen::each(Refused, Refused));
    let program = |linked| compiled("client-lib/examples/ask.c", linked);
    let both = [checked(&program(Linked::Shared)), plain(&program(Linked::Static))];
    for (host, mut ask) in World::GATEWAY.into_iter().zip(both) {
        ask.arg(scene.identity()).arg(scene.server());
        ask.args([&host.to_string(), "22", "is anybody there?"]);
        assert_eq!(scene.run(&mut ask), Ran::printing("is anybody there?\n"));
    }
    assert_eq!(world.tcp(22), Seen::each(Open, Refused));
}

#[test]
fn the_c_example_says_why_it_cannot_knock() {
    let world = World::new();
    let scene = Scene::new(&world);
    let program = compiled("client-lib/examples/ask.c", Linked::Shared);
    let ask = |password: &str, host: &str| {
        let mut ask = plain(&program);
        ask.arg(scene.identity()).arg(scene.server()).args([host, "22", "is anybody there?"]);
        scene.run(ask.env("SKNOCK_PFX_PASSWORD", password))
    };
    let ran = ask("wrong", "10.77.1.1");
    assert_eq!((ran.code, ran.printed.as_str()), (Some(1), ""), "{ran:?}");
    assert!(ran.errors.contains("alice.pfx: wrong password"), "{ran:?}");
    let ran = ask(sknock_tests::PASSWORD, "no.such.host.invalid");
    assert_eq!((ran.code, ran.printed.as_str()), (Some(1), ""), "{ran:?}");
    assert!(ran.errors.contains("cannot find the address of no.such.host.invalid"), "{ran:?}");
}

#[test]
fn the_python_example_opens_ports() {
    let world = World::new();
    let scene = Scene::new(&world);
    let knock = |password: &str, host: &str| {
        let mut python = plain("python3".as_ref());
        python.arg(house().join("client-lib/examples/knock.py"));
        python.arg(scene.identity()).arg(scene.server()).args([host, "tcp/22", "udp/53"]);
        scene.run(python.env("SKNOCK_PFX_PASSWORD", password))
    };
    for (host, client) in World::GATEWAY.into_iter().zip(World::CLIENT) {
        let ran = knock(sknock_tests::PASSWORD, &host.to_string());
        assert_eq!(ran, Ran::printing(&format!("open on {host} to {client} for 60 s\n")));
    }
    assert_eq!([world.tcp(22), world.udp(53)], [Seen::each(Open, Refused); 2]);
    let ran = knock("wrong", "10.77.1.1");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.errors.contains("wrong password"), "{ran:?}");
}

#[test]
fn wrong_arguments_are_errors_in_every_function() {
    let world = World::new();
    let scene = Scene::new(&world);
    let program = |linked| compiled("tests/c/arguments.c", linked);
    for mut arguments in [checked(&program(Linked::Shared)), plain(&program(Linked::Static))] {
        arguments.arg(scene.identity()).arg(scene.server());
        assert_eq!(scene.run(&mut arguments), Ran::printing(""));
    }
}

#[test]
fn eight_threads_knock_with_one_client() {
    let world = World::new();
    let scene = Scene::new(&world);
    let program = compiled("tests/c/threads.c", Linked::Shared);
    let knock = |mut command: Command, host: &str, service: &str| {
        let threads = command.arg(scene.identity()).arg(scene.server()).args([host, service]);
        assert_eq!(scene.run(threads), Ran::printing(""), "{host} {service}");
    };
    let [v4, v6] = World::GATEWAY.map(|host| host.to_string());
    knock(plain(&program), &v4, "tcp/22");
    knock(plain(&program), &v6, "udp/53");
    knock(checked(&program), &v4, "udp/53");
}
