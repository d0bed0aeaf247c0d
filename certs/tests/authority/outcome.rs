//! What the exit code and the help say.

use std::fs::File;
use std::process::Stdio;

use crate::program::WorkFolder;

#[test]
fn a_completed_command_exits_with_0_also_if_stdout_is_full() {
    let folder = WorkFolder::with_authority();
    for (args, code) in
        [("crl", 0), ("client bob --allow tcp/22", 0), ("--json revoke bob", 0), ("list", 1)]
    {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = folder.run(args).output_to(Stdio::from(full));
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args}: {complaint}");
        assert!(complaint.contains("No space left"), "{args}: {complaint}");
    }
    assert_eq!(folder.list().len(), 3);
    assert_eq!(folder.number(), 3);
}

#[test]
fn a_password_file_is_offered_where_it_has_a_meaning_and_refused_elsewhere() {
    let folder = WorkFolder::with_authority();
    for (command, offered) in
        [("init", false), ("server", true), ("client", true), ("revoke", false), ("crl", false)]
    {
        let help = folder.run(&format!("{command} --help")).done();
        assert_eq!(help.contains("--password-file"), offered, "{command}");
    }
    for command in ["list", "crl", "revoke alice"] {
        let output = folder.run(&format!("--password-file pw {command}")).output();
        assert_eq!(output.status.code(), Some(2), "{command}: {output:?}");
    }
    std::fs::write(folder.beside("pw"), "a password\n").unwrap();
    folder.run("--password-file pw client before --allow tcp/22").done();
    folder.run("client after --allow tcp/22 --password-file pw").done();
}

#[test]
fn only_an_explicit_validity_is_reported_as_shortened() {
    let folder = WorkFolder::empty();
    folder.run("init --days 100").done();
    for args in ["server gate", "client alice --allow tcp/22"] {
        let told = folder.run(args).done();
        assert!(!told.contains("shortened to the expiry"), "{told}");
    }
    let told = folder.run("server asked --days 200").done();
    assert!(told.contains("shortened to the expiry"), "{told}");
}
