//! A host program that handles signals all the time: none of them is an error, and none is handled in a
//! thread that the library has started.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use sknock_tests::World;
use sknock_tests::wait::uninterrupted;

use crate::installed::{Linked, compiled};
use crate::run::{Ran, Scene, plain};

/// A long way, by satellite.
const ONE_WAY: Duration = Duration::from_millis(350);

/// Passes datagrams on between whoever asks at `own` and `server`, each late.
fn relay(own: UdpSocket, server: SocketAddr) {
    own.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let (later, due) = mpsc::channel::<(SocketAddr, Vec<u8>)>();
    let out = own.try_clone().unwrap();
    thread::spawn(move || {
        for (to, datagram) in due {
            thread::sleep(ONE_WAY);
            // Whoever waited for it may be gone.
            let _ = out.send_to(&datagram, to);
        }
    });
    thread::spawn(move || {
        let (mut bytes, mut client) = ([0; 2048], None);
        while let Ok((length, from)) = uninterrupted(|| own.recv_from(&mut bytes)) {
            let to = if from == server { client } else { Some(server) };
            if from != server {
                client = Some(from);
            }
            let Some(to) = to else { continue };
            later.send((to, bytes[..length].to_vec())).unwrap();
        }
    });
}

fn alarmed(scene: &Scene<'_>, mut command: Command, host: &str) -> Ran {
    command.arg(scene.identity()).arg(scene.server()).args([host, "udp/53"]);
    scene.run(&mut command)
}

#[test]
fn a_hundred_signals_a_second_keep_no_knock_from_opening_over_a_long_way() {
    let program = compiled("tests/c/alarmed.c", Linked::Shared);
    let world = World::new();
    let scene = Scene::new(&world);
    let [own, _] = World::CLIENT;
    let [server, _] = World::GATEWAY;
    // From the client's own address, which the server opens to.
    let socket = world.client.inside(|| UdpSocket::bind((own, 62344))).unwrap();
    relay(socket, (server, 62344).into());
    assert_eq!(alarmed(&scene, plain(&program), &own.to_string()), Ran::printing("open\n"));
}

#[test]
fn no_signal_is_handled_in_the_thread_that_asks_for_a_name() {
    let world = World::new();
    let scene = Scene::new(&world);
    let program = compiled("tests/c/alarmed.c", Linked::Shared);
    // Nobody is at that address, so the lookup takes seconds.
    let folder = tempfile::tempdir().unwrap();
    let resolver = folder.path().join("resolv.conf");
    fs::write(&resolver, "nameserver 10.77.1.99\n").unwrap();
    let mut command = plain("unshare".as_ref());
    let script = "mount --bind \"$1\" /etc/resolv.conf; shift; exec \"$@\"";
    command.args(["--mount", "sh", "-ec", script, "sh"]).arg(&resolver).arg(&program);
    let ran = alarmed(&scene, command, "nobody.example");
    assert_eq!((ran.code, ran.errors.as_str()), (Some(0), ""), "{ran:?}");
    assert!(ran.printed.contains("cannot find the address of nobody.example"), "{ran:?}");
}
