//! Who may use the socket: root, the server's user and the group, and nobody else; no network process.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

use sknock_tests::{Authority, Client, Config, ControlLine, Daemon, Echo, Mounts, World};

use super::a_knock_opens;

const GROUP: u32 = 7717;

/// A member of the group, a stranger, and the user of the network process.
pub(crate) const MEMBER: &str = "setpriv --reuid 7701 --regid 7701 --groups 7701,7717";
const BY_FIRST_GROUP: &str = "setpriv --reuid 7701 --regid 7717 --clear-groups";
const STRANGER: &str = "setpriv --reuid 7702 --regid 7702 --clear-groups";
const NETWORK: &str = "setpriv --reuid 65534 --regid 65534 --clear-groups";

/// A machine that has the group, and a name for its member.
pub(crate) fn grouped(daemon: &mut Daemon<'_>) {
    let groups = fs::read_to_string("/etc/group").unwrap();
    let file = daemon.file("group");
    fs::write(&file, format!("{groups}sknock-admin:x:{GROUP}:\n")).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let names = daemon.file("passwd");
    fs::write(&names, format!("{users}carl:x:7701:7701::/:/bin/false\n")).unwrap();
    fs::set_permissions(&names, Permissions::from_mode(0o644)).unwrap();
    let mounts = Mounts::new();
    mounts.replace(Path::new("/etc/group"), &file);
    mounts.replace(Path::new("/etc/passwd"), &names);
    daemon.mount(mounts);
}

#[test]
fn other_users_are_refused_at_the_control_socket() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let daemon = Daemon::start_settled(&world.gateway, &Config::new(&authority));
    let path = ControlLine::path(&world.gateway);
    let found = fs::metadata(&path).unwrap();
    assert_eq!((found.uid(), found.mode() & 0o7777), (0, 0o600), "there is no group here");
    let refused = |who: &str| {
        for words in ["confirm", "reload", "reload --confirm 60", "grants", "close --all"] {
            let asked = daemon.tell_through(who, words);
            assert_eq!(asked.code, Some(1), "{who} {words}: {} {}", asked.answer, asked.errors);
            assert!(asked.errors.contains("not allowed"), "{words}: {}", asked.errors);
        }
    };
    let alice = Client::alice(&world.client, &authority);
    alice.open(World::GATEWAY[0], "tcp/22");
    let (open, network) = (world.gateway.doors().len(), daemon.network());
    for who in [STRANGER, MEMBER, NETWORK] {
        refused(who);
    }
    // Also where the file lets them connect: the server asks the kernel who they are.
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    for who in [STRANGER, MEMBER, NETWORK] {
        refused(who);
    }
    assert_eq!((world.gateway.doors().len(), daemon.network()), (open, network));
    assert!(open > 0 && !world.gateway.table().unwrap().contains("trial"));
    let told = daemon.times_said("control: not allowed");
    assert!((1..5).contains(&told), "and nobody fills the log: {told} lines");
}

#[test]
fn members_of_the_group_confirm_reload_list_and_close() {
    let (world, authority) = (World::new(), Authority::new());
    let config = Config::new(&authority);
    let _ssh = Echo::tcp(&world.gateway, 22);
    let mut daemon = Daemon::stopped(&world.gateway, &config);
    grouped(&mut daemon);
    daemon.settle();
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    let found = fs::metadata(ControlLine::path(&world.gateway)).unwrap();
    assert_eq!((found.uid(), found.gid(), found.mode() & 0o7777), (0, GROUP, 0o660));
    let alice = Client::alice(&world.client, &authority);
    for who in [MEMBER, BY_FIRST_GROUP] {
        for (words, says) in [
            ("reload", "has reloaded"),
            ("reload --confirm 600", "on trial for 600 s"),
            ("confirm", "confirmed"),
            ("grants", "no active grants"),
        ] {
            let asked = daemon.tell_through(who, words);
            assert_eq!(asked.code, Some(0), "{who} {words}: {}", asked.errors);
            assert!(asked.answer.contains(says), "{who} {words}: {}", asked.answer);
        }
        alice.open(World::GATEWAY[0], "tcp/22");
        let (ours, theirs) = (daemon.tell("grants"), daemon.tell_through(who, "grants"));
        let knock = |text: &str| text.split("knock=").nth(1).map(|rest| rest[..16].to_owned());
        assert!(knock(&ours.answer).is_some(), "{}", ours.answer);
        assert_eq!(knock(&ours.answer), knock(&theirs.answer));
        let asked = daemon.tell_through(who, "close --name alice");
        assert_eq!(asked.code, Some(0), "{}", asked.errors);
        assert!(asked.answer.contains("closed: 1;"), "{}", asked.answer);
        assert_eq!(world.gateway.doors(), []);
    }
    for who in [STRANGER, NETWORK] {
        let asked = daemon.tell_through(who, "confirm");
        assert!(asked.errors.contains("not allowed"), "{}", asked.errors);
    }
    daemon.stop();
    let asked = daemon.tell_through(MEMBER, "grants");
    assert_eq!(asked.code, Some(69), "{}", asked.errors);
}

/// A captured network process may be sent a connection of somebody who may, or find it.
#[test]
fn a_connection_of_another_process_cannot_be_used() {
    let (world, authority) = (World::new(), Authority::new());
    let config = Config::new(&authority);
    let daemon = Daemon::start_settled(&world.gateway, &config);
    daemon.configure(&config.set("protectedPorts", "tcp/8080"));
    assert_eq!(daemon.tell("reload --confirm 600").code, Some(0));
    // The connection is root's; what counts is which process writes.
    for thief in ["env", NETWORK, MEMBER] {
        let mut line = ControlLine::connect(&world.gateway);
        let mut words = thief.split_whitespace();
        let mut command = Command::new(words.next().unwrap());
        command.args(words).args(["printf", r#"{"version":1,"request":"confirm"}\n"#]);
        let status = command.stdin(Stdio::null()).stdout(line.stolen()).status().unwrap();
        assert!(status.success(), "{thief}");
        let answer = line.answer().expect("an answer").to_string();
        assert!(answer.contains("not_allowed"), "{thief}: {answer}");
        assert_eq!(line.answer(), None, "{thief}: and the connection ends");
    }
    // Nor with the first half by its owner.
    let mut line = ControlLine::connect(&world.gateway);
    assert!(line.say(br#"{"version":1,"#));
    let mut command = Command::new("printf");
    command.arg(r#""request":"confirm"}\n"#).stdout(line.stolen());
    assert!(command.status().unwrap().success());
    assert!(line.answer().expect("an answer").to_string().contains("not_allowed"));
    assert!(world.gateway.table().unwrap().contains("trial"), "nobody has confirmed");
    a_knock_opens(&Client::alice(&world.client, &authority), &world);
    assert_eq!(daemon.tell("confirm").code, Some(0));
}

/// A member may have other users' numbers, too: those of a user namespace.
#[test]
fn group_members_cannot_use_up_the_connections_for_root() {
    let (world, authority) = (World::new(), Authority::new());
    let mut daemon = Daemon::stopped(&world.gateway, &Config::new(&authority));
    grouped(&mut daemon);
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    let path = ControlLine::path(&world.gateway);
    let program = "for (1..8) { push @s, IO::Socket::UNIX->new($ARGV[0]) or die } print qq(held\n); \
                   STDOUT->flush; sleep 8";
    let mut holders: Vec<_> = (0..5)
        .map(|user| {
            let user = (7800 + user).to_string();
            let mut command = Command::new("setpriv");
            command.args(["--reuid", &user, "--regid", &user, "--groups", "7717"]);
            command.args(["perl", "-MIO::Socket::UNIX", "-e", program]).arg(&path);
            command.stdout(Stdio::piped()).spawn().expect("perl is on every Debian")
        })
        .collect();
    for holder in &mut holders {
        let mut held = String::new();
        BufReader::new(holder.stdout.as_mut().unwrap()).read_line(&mut held).unwrap();
        assert_eq!(held, "held\n");
    }
    for _ in 0..10 {
        let asked = daemon.tell("confirm");
        assert!(asked.errors.contains("no trial is active"), "{}", asked.errors);
    }
    for mut holder in holders {
        holder.kill().unwrap();
        holder.wait().unwrap();
    }
}
