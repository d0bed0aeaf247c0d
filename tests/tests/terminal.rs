//! Prompts for passwords leave the terminal as it was, also when they are interrupted.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::mpsc;
use std::time::Duration;

use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;
use sknock_tests::{Authority, binaries};

/// What ends a prompt.
enum Ended<'a> {
    /// These keys.
    Typed(&'a [u8]),
    /// This signal, to the program.
    Sent(Signal),
}

/// Runs a program at a terminal of its own, and ends it as soon as it asks for a password. Its exit status,
/// and whether the terminal echoes again afterwards.
fn interrupted(mut program: Command, by: &Ended<'_>) -> (ExitStatus, bool) {
    let pty = openpty(None, None).expect("a terminal");
    let echoes = || {
        let flags = tcgetattr(&pty.slave).expect("a terminal").local_flags;
        flags.contains(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG)
    };
    assert!(echoes(), "a new terminal does");
    let end = || File::from(pty.slave.try_clone().expect("a descriptor"));
    program.stdin(end()).stdout(end()).stderr(end());
    let mut child = program.spawn().expect("env, setsid: coreutils, util-linux");
    let mut keyboard = File::from(pty.master.try_clone().expect("a descriptor"));
    let mut screen = File::from(pty.master.try_clone().expect("a descriptor"));
    let (asks, asked) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut shown, mut chunk) = (Vec::new(), [0; 256]);
        while let Ok(length @ 1..) = screen.read(&mut chunk) {
            shown.extend_from_slice(&chunk[..length]);
            asks.send(String::from_utf8_lossy(&shown).into_owned()).ok();
        }
    });
    let patience = Duration::from_secs(60);
    while !asked.recv_timeout(patience).expect("a prompt").contains("Password for ") {}
    sknock_tests::wait::until("it reads without showing", || !echoes());
    match *by {
        Ended::Typed(keys) => keyboard.write_all(keys).expect("a terminal"),
        Ended::Sent(signal) => {
            kill(Pid::from_raw(child.id().cast_signed()), signal).expect("our child");
        }
    }
    let status = child.wait().expect("our child");
    (status, echoes())
}

fn at_a_terminal(program: &str) -> Command {
    // A shell that starts the tests in its background has them ignore SIGINT, and so their children.
    let mut command = Command::new("env");
    command.args(["--ignore-environment", "--default-signal", "setsid", "--ctty"]);
    command.arg(binaries::path(program));
    command
}

#[test]
fn an_interrupted_prompt_leaves_a_terminal_that_shows_what_is_typed() {
    let authority = Authority::new();
    let ask_sknock = || {
        let mut command = at_a_terminal("sknock");
        command.arg("knock").arg("--identity").arg(authority.file("alice.pfx"));
        command.arg("--server-cert").arg(authority.file("gate.cer")).args(["192.0.2.1", "tcp/22"]);
        command
    };
    let ask_ca = || {
        let mut command = at_a_terminal("sknock-ca");
        let folder: &Path = &authority.file("");
        command.arg("--dir").arg(folder).args(["client", "carol", "--allow", "tcp/22"]);
        command
    };
    let programs: [(&str, &dyn Fn() -> Command); 2] =
        [("sknock", &ask_sknock), ("sknock-ca", &ask_ca)];
    for (what, program) in programs {
        for (by, signal) in [
            (Ended::Typed(b"secret\x03"), Signal::SIGINT),
            (Ended::Sent(Signal::SIGINT), Signal::SIGINT),
            (Ended::Sent(Signal::SIGTERM), Signal::SIGTERM),
            (Ended::Sent(Signal::SIGHUP), Signal::SIGHUP),
            (Ended::Sent(Signal::SIGQUIT), Signal::SIGQUIT),
        ] {
            let (status, echoes) = interrupted(program(), &by);
            assert!(echoes, "{what}: {signal}");
            assert_eq!(
                status.signal(),
                Some(signal as i32),
                "{what}: as a shell expects: {status}"
            );
        }
        let (status, echoes) = interrupted(program(), &Ended::Typed(b"\x04"));
        assert!(echoes && !status.success(), "{what}: Ctrl-D");
    }
    assert!(!authority.file("carol.pfx").exists());
}

/// What a terminal would act on, or show in another order.
const HIDDEN: &str = "\u{1b}[2J\u{7}\u{85}\u{9b}31m\u{202e}\u{7f}\r";

/// Runs a program with these arguments, in which `~` stands for [`HIDDEN`]: all that it prints.
fn printed(program: &str, words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| word.replace('~', HIDDEN)).collect();
    let mut command = Command::new(binaries::path(program));
    command.args(&words).env_clear().env("HOME", "/nonexistent");
    let output = command.output().expect("it was just built");
    assert!(!output.status.success(), "{words:?}");
    let printed = [output.stdout, output.stderr].concat();
    String::from_utf8(printed).unwrap_or_else(|error| panic!("{words:?}: {error}"))
}

#[test]
fn hidden_characters_of_arguments_and_file_names_reach_no_terminal() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("our folder");
    let named = folder.path().join(format!("config{HIDDEN}.ini"));
    std::fs::write(&named, "nonsense\n[DEFAULT]\nserverPFXFile = a\n").expect("our folder");
    let named = named.to_str().expect("UTF-8");
    for (program, words) in [
        ("sknock", &["knock", "--identity", "/~/alice.pfx", "gw.example", "tcp/22"][..]),
        ("sknock", &["knock", "--json", "--identity", "/~/alice.pfx", "gw.example", "tcp/22"]),
        ("sknock", &["connect", "--json", "--identity", "/~/alice.pfx", "gw.example", "22"]),
        ("sknock", &["knock", "~", "tcp/22"]),
        ("sknock", &["knock", "gw.example", "tcp/~"]),
        ("sknock", &["knock", "--~", "gw.example"]),
        ("sknock", &["~"]),
        ("sknock", &["-p", "22", "~"]),
        ("sknock-ca", &["--dir", "/nonexistent/~", "list"]),
        ("sknock-ca", &["--json", "--dir", "/nonexistent/~", "list"]),
        ("sknock-ca", &["--dir", "/nonexistent", "client", "~", "--allow", "tcp/22"]),
        ("sknock-ca", &["--dir", "/nonexistent", "client", "a", "--allow", "~"]),
        ("sknock-ca", &["--dir", "/nonexistent", "~"]),
        ("sknockd", &["check", "--config", "/nonexistent/~"]),
        ("sknockd", &["check", "--config", named]),
        ("sknockd", &["run", "--config", named]),
        ("sknockd", &["explain", "--config", named, "--from", "192.0.2.1", "a"]),
        ("sknockd", &["explain", "--config", "/~", "--from", "~", "a"]),
        ("sknockd", &["close", "--~"]),
        ("sknockd", &["~"]),
    ] {
        let printed = printed(program, words);
        assert!(!printed.is_empty(), "{program} {words:?}");
        let hidden = |c: &char| (c.is_control() && !"\n\t".contains(*c)) || *c == '\u{202e}';
        let found: Vec<char> = printed.chars().filter(hidden).collect();
        assert!(found.is_empty(), "{program} {words:?}: {found:?}: {printed:?}");
    }
}
