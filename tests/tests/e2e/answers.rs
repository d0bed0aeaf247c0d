//! A local user holds the port that answers leave from: doors open all the same, and the log says who.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use sknock_tests::wait::{LIMIT, Limit};
use sknock_tests::{Authority, Client, Config, Daemon, World, udp_socket};

/// Nobody's in particular, and neither root's nor the server's.
const UID: &str = "4321";

/// Binds the port and says so, then sleeps for ever. In what every Debian has.
const BIND: &str = "use Socket; \
    socket(my $s, PF_INET, SOCK_DGRAM, 0) or die $!; \
    bind($s, sockaddr_in(62344, INADDR_ANY)) or die $!; \
    $| = 1; print \"bound\\n\"; sleep;";

/// A program of an unprivileged user that has the port. Ended when dropped.
struct Holder(Child);

impl Holder {
    fn bind(world: &World) -> Self {
        // An answer's socket may still be closing.
        drop(udp_socket(&world.gateway, 62344));
        let mut command = Command::new("setpriv");
        command.args(["--reuid", UID, "--regid", UID, "--clear-groups", "--inh-caps=-all"]);
        command.args(["perl", "-e", BIND]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = world.gateway.inside(|| command.spawn()).expect("util-linux and perl");
        let mut line = String::new();
        let output = child.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut line).expect("it speaks");
        assert_eq!(line, "bound\n");
        Self(child)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// Who is named: what it is about, whose it is, and which socket.
fn names_the_holder(line: &str) -> bool {
    let inode = line.split("inode=").nth(1).and_then(|rest| rest.split(' ').next());
    line.contains("udp/62344")
        && line.contains(&format!("uid={UID}"))
        && inode.is_some_and(|inode| inode.parse::<u64>().is_ok_and(|inode| inode > 0))
}

fn opens_without_an_answer(world: &World, authority: &Authority, daemon: &Daemon<'_>) {
    let mark = daemon.mark();
    let knock = Client::alice(&world.client, authority).seal(&["tcp/22"]);
    let sent = knock.send(&world.client, World::GATEWAY[0]);
    let line = daemon.wait_since(mark, "granted, but the answer was not sent");
    assert!(line.contains("WARN") && line.contains(&knock.id), "{line}");
    daemon.wait_since(mark, "audit: granted");
    assert!(sent.answer(Duration::from_millis(200)).is_none());
    assert!(world.gateway.doors().iter().any(|door| door.knock == knock.id));
}

#[test]
fn a_program_that_holds_the_knock_port_is_logged_at_the_start() {
    let (world, authority) = (World::new(), Authority::new());
    let holder = Holder::bind(&world);
    let daemon = Daemon::start_settled(&world.gateway, &Config::new(&authority));
    let line = daemon.wait_for("another program holds udp/62344");
    assert!(line.contains("WARN") && names_the_holder(&line), "{line}");
    opens_without_an_answer(&world, &authority, &daemon);
    // Told once.
    daemon.reload();
    assert_eq!(daemon.times_said("another program holds udp/62344"), 1);
    drop(holder);
    daemon.reload();
    daemon.wait_for("no other program holds a knock port now");
    let knock = Client::alice(&world.client, &authority).seal(&["tcp/22"]);
    knock.send(&world.client, World::GATEWAY[0]).must_be_granted();
}

#[test]
fn a_program_that_takes_the_knock_port_later_is_logged_within_a_minute() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::start_settled(&world.gateway, &Config::new(&authority));
    let alice = Client::alice(&world.client, &authority);
    alice.seal(&["tcp/22"]).send(&world.client, World::GATEWAY[0]).must_be_granted();
    assert_eq!(daemon.times_said("another program"), 0, "our own answers are not somebody else's");
    let _holder = Holder::bind(&world);
    opens_without_an_answer(&world, &authority, &daemon);
    let look = || daemon.times_said("another program holds udp/62344") == 1;
    let limit = Limit::new(3 * LIMIT);
    while !look() {
        assert!(!limit.is_over(), "nobody is named");
        thread::sleep(Duration::from_millis(200));
    }
    assert!(names_the_holder(&daemon.wait_for("another program holds udp/62344")));
}

/// It may end any time, so systemd is to try again.
#[test]
fn with_a_socket_a_start_exits_with_69_while_the_knock_port_is_in_use() {
    let (world, authority) = (World::new(), Authority::new());
    let holder = Holder::bind(&world);
    let config = Config::new(&authority).set("intake", "socket");
    let mut daemon = Daemon::stopped(&world.gateway, &config);
    daemon.settle();
    daemon.begin();
    let ended = daemon.wait_for_end();
    assert_eq!(ended.code, Some(69), "{}", ended.said);
    assert!(ended.said.contains("cannot listen on udp/62344"), "{}", ended.said);
    drop(holder);
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
}

/// With a socket of our own there is nothing to take.
#[test]
fn with_a_socket_nobody_else_can_bind_the_port() {
    let (world, authority) = (World::new(), Authority::new());
    let config = Config::new(&authority).set("intake", "socket");
    let daemon = Daemon::start_settled(&world.gateway, &config);
    let mut command = Command::new("setpriv");
    command.args(["--reuid", UID, "--regid", UID, "--clear-groups", "perl", "-e", BIND]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = world.gateway.inside(|| command.status()).expect("util-linux and perl");
    assert!(!status.success());
    let alice = Client::alice(&world.client, &authority);
    alice.seal(&["tcp/22"]).send(&world.client, World::GATEWAY[0]).must_be_granted();
    assert_eq!(daemon.times_said("another program"), 0);
}
