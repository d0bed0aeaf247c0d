//! Exit codes are those of the documents, wherever a program is started and whatever it is given: 101, a
//! panic, and a signal are none of them.

mod bench;
mod words;

use bench::{Bench, each};

/// A place to be started in: what the shell does before, and the redirections.
struct Place {
    what: &'static str,
    before: &'static str,
    redirected: &'static str,
}

const fn place(what: &'static str, before: &'static str, redirected: &'static str) -> Place {
    Place { what, before, redirected }
}

/// In these a program ends as it would elsewhere.
const NO_MATTER: [Place; 14] = [
    place("nothing special", "", ""),
    place("standard input is closed", "", "<&-"),
    place("standard output is closed", "", ">&-"),
    place("standard error is closed", "", "2>&-"),
    place("all three are closed", "", "<&- >&- 2>&-"),
    place("standard error is full", "", "2>/dev/full"),
    place("nobody reads standard error", "", "2> >(exec <&-; sleep 0.2)"),
    place("nobody reads standard output", "", "> >(exec <&-; sleep 0.2)"),
    place("no HOME", "unset HOME XDG_CONFIG_HOME;", ""),
    place("no environment at all", "exec_by='env -i';", ""),
    place("no /sys", "umount -l /sys; mount -t tmpfs none /sys;", ""),
    place("the working folder is deleted", "mkdir gone; cd gone; rmdir ../gone;", ""),
    place("256 descriptors", "ulimit -n 256;", ""),
    place("no controlling terminal", "exec_by=setsid\\ --wait;", ""),
];

/// In these it may not be able to do its work, and says so by a documented code.
const IN_THE_WAY: [Place; 8] = [
    place("standard output is full", "", ">/dev/full"),
    place("both are full", "", ">/dev/full 2>/dev/full"),
    place("no /proc", "umount -l /proc; mount -t tmpfs none /proc;", ""),
    place("eight descriptors", "ulimit -n 8;", ""),
    place("four descriptors", "ulimit -n 4;", ""),
    place("no file may grow", "ulimit -f 0;", ""),
    place("no file may grow, output is one", "ulimit -f 0;", ">out 2>err"),
    place(
        "another user, in a folder that is not theirs",
        "exec_by='setpriv --reuid=65534 --regid=65534 --clear-groups';",
        "",
    ),
];

#[test]
fn programs_end_with_documented_codes_wherever_they_are_started() {
    let bench = Bench::new();
    each(&bench.cases(), |case| {
        for at in &NO_MATTER {
            let ended = bench.run(case, at);
            assert_eq!(ended.code, Some(case.plain), "{}, {}: {ended:?}", case.name(), at.what);
        }
        for at in &IN_THE_WAY {
            let ended = bench.run(case, at);
            let documented = ended.code.is_some_and(|code| case.documented().contains(&code));
            assert!(documented, "{}, {}: {ended:?}", case.name(), at.what);
        }
    });
}

/// What is there to be read and was not written is not done; what changes something is.
#[test]
fn a_full_standard_output_is_a_failure_of_what_is_to_be_read_only() {
    let bench = Bench::new();
    let [full, both, ..] = &IN_THE_WAY;
    each(&bench.cases(), |case| {
        let expected = if case.is_to_be_read { 1 } else { case.plain };
        for at in [full, both] {
            let ended = bench.run(case, at);
            assert_eq!(ended.code, Some(expected), "{}, {}: {ended:?}", case.name(), at.what);
        }
    });
}

/// The loader, or the first allocation, may end a program that has no memory; a panic does not.
#[test]
fn without_memory_no_program_panics() {
    let bench = Bench::new();
    each(&bench.cases(), |case| {
        for before in
            ["ulimit -v 4000;", "ulimit -v 20000;", "ulimit -v 40000;", "ulimit -v 80000;"]
        {
            let ended = bench.run(case, &place("little memory", before, ""));
            assert_ne!(ended.code, Some(101), "{}, {before}: {ended:?}", case.name());
        }
    });
}

#[test]
fn absurd_arguments_are_wrong_usage_or_files_that_are_not_there() {
    let bench = Bench::new();
    each(&words::absurd(), |case| {
        let ended = bench.run(case, &NO_MATTER[0]);
        let documented = ended.code.is_some_and(|code| case.documented().contains(&code));
        assert!(documented && ended.code != Some(0), "{}: {ended:?}", case.name());
    });
}
