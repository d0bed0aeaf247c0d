//! A real `sknockd run` in a namespace.

mod log;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use sknock_gate::NamespaceLock;
use sknock_server::knock::replay::Journal;
use tempfile::TempDir;

use self::log::Log;
use crate::authority::traversable_folder;
use crate::wait::{now, some, until};
use crate::{Config, Mounts, Namespace, Sent, binaries, process};

/// A daemon, running or not, with a configuration and a state of its own. Killed when dropped.
#[derive(Debug)]
pub struct Daemon<'w> {
    namespace: &'w Namespace,
    folder: TempDir,
    environment: Vec<(String, String)>,
    mounts: Option<Mounts>,
    /// A program that becomes this one, and its arguments.
    starter: Vec<String>,
    running: Option<Running>,
    log: Log,
    /// The number of log lines before the latest start.
    begun: usize,
}

/// What a program that was asked has answered.
#[derive(Debug)]
pub struct Asked {
    /// Exit code; `None` if ended by a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub answer: String,
    /// Standard error.
    pub errors: String,
}

/// A running daemon, and the reader of its log.
#[derive(Debug)]
struct Running {
    child: Child,
    reader: JoinHandle<()>,
}

/// How a daemon that was expected to end has ended.
#[derive(Debug)]
pub struct Ended {
    /// Exit code; `None` if by a signal.
    pub code: Option<i32>,
    /// Its log since the start.
    pub said: String,
}

impl<'w> Daemon<'w> {
    /// Starts one in `namespace`, and waits until it accepts knocks.
    #[track_caller]
    pub fn start(namespace: &'w Namespace, config: &Config) -> Self {
        let mut daemon = Self::stopped(namespace, config);
        daemon.begin();
        daemon.wait_for(daemon.accepting());
        daemon
    }

    /// Starts one that admits knocks at once, as it has run before: see [`Self::settle`].
    #[track_caller]
    pub fn start_settled(namespace: &'w Namespace, config: &Config) -> Self {
        let mut daemon = Self::stopped(namespace, config);
        daemon.settle();
        daemon.begin();
        daemon.wait_for(daemon.accepting());
        daemon
    }

    /// The log line when knocks are accepted; a first start logs before how long it refuses them.
    pub const ACCEPTING: &'static str = ": accepting knocks\n";

    /// The same in the format of its log.
    fn accepting(&self) -> &'static str {
        let config = fs::read_to_string(self.config_file()).expect("our file");
        let json = config.contains("logFormat = json");
        if json { "\"message\":\"accepting knocks\"" } else { Self::ACCEPTING }
    }

    /// One that does not run yet.
    pub fn stopped(namespace: &'w Namespace, config: &Config) -> Self {
        let folder = traversable_folder();
        let daemon = Self {
            namespace,
            folder,
            environment: Vec::new(),
            mounts: None,
            starter: Vec::new(),
            running: None,
            log: Log::default(),
            begun: 0,
        };
        daemon.configure(config);
        daemon.forget_others();
        daemon
    }

    /// Removes the record of the `stateDir` that was last in force in this namespace: it is another daemon's
    /// with other clients, and would make this one wait.
    fn forget_others(&self) {
        let namespace = Path::new("/proc/thread-self/ns/net");
        let number = self.namespace.inside(|| fs::metadata(namespace).map(|found| found.ino()));
        let name = format!("net-{}.state", number.expect("we are in one"));
        let _ = fs::remove_file(Path::new(NamespaceLock::DIRECTORY).join(name));
    }

    /// Starts it; does not wait.
    pub fn begin(&mut self) {
        self.begin_with(&[]);
    }

    /// Starts it with more arguments; does not wait.
    pub fn begin_with(&mut self, more: &[&str]) {
        assert!(self.running.is_none(), "it runs already");
        self.begun = self.mark();
        let mut command = self.command("run");
        command.arg("--config").arg(self.config_file()).args(more);
        let mut child = self.inside(|| command.spawn()).expect("it was just built");
        let stderr = child.stderr.take().expect("it is piped");
        // On a busy machine the tester reads late, and the daemon drops refusals that a pipe of 64 KiB has no room for.
        fcntl(&stderr, FcntlArg::F_SETPIPE_SZ(1 << 20)).expect("root may have a larger pipe");
        let reader = self.log.follow(stderr);
        self.running = Some(Running { child, reader });
    }

    /// `sknockd` with one word, without anything from the tester's own environment.
    fn command(&self, word: &str) -> Command {
        let sknockd = binaries::path("sknockd");
        let mut command = match self.starter.split_first() {
            None => Command::new(sknockd),
            Some((starter, arguments)) => {
                let mut command = Command::new(starter);
                command.args(arguments).arg(sknockd);
                command
            }
        };
        let ours = std::env::vars_os().map(|(name, _)| name);
        for name in ours.filter(|name| name.to_string_lossy().starts_with("SKNOCK_")) {
            command.env_remove(name);
        }
        // Refusals that any sender can cause are logged at this level only.
        command.env("SKNOCK_LOG", "info,audit=trace");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.arg(word).current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// Runs `sknockd WORD` in the same namespace to its end; exit code and standard error.
    pub fn run(&self, word: &str) -> (Option<i32>, String) {
        let mut command = self.command(word);
        let output = self.namespace.inside(|| command.output()).expect("it was just built");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Runs `sknockd WORD --config FILE MORE` in the same namespace to its end.
    pub fn ask(&self, word: &str, more: &[&str]) -> Asked {
        let mut command = self.command(word);
        command.arg("--config").arg(self.config_file()).args(more).stdout(Stdio::piped());
        self.asked(command)
    }

    /// Runs `sknockd WORDS` to its end where it runs, but as root.
    pub fn tell(&self, words: &str) -> Asked {
        let mut command = Command::new(binaries::path("sknockd"));
        command.args(words.split_whitespace()).stdin(Stdio::null());
        self.asked(command)
    }

    /// The same through another program, which becomes it: `setpriv --reuid 1000 ...`.
    pub fn tell_through(&self, starter: &str, words: &str) -> Asked {
        let mut starter = starter.split_whitespace();
        let mut command = Command::new(starter.next().expect("a program"));
        command.args(starter).arg(binaries::path("sknockd")).args(words.split_whitespace());
        command.stdin(Stdio::null());
        self.asked(command)
    }

    fn asked(&self, mut command: Command) -> Asked {
        let output = self.inside(|| command.output()).expect("it was just built");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Asked {
            code: output.status.code(),
            answer: text(&output.stdout),
            errors: text(&output.stderr),
        }
    }

    /// Where it runs.
    fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.namespace.inside(|| match &self.mounts {
            Some(mounts) => mounts.inside(work),
            None => work(),
        })
    }

    /// Gives it mounts of its own from its next start on.
    pub fn mount(&mut self, mounts: Mounts) {
        self.mounts = Some(mounts);
    }

    /// Those mounts.
    #[track_caller]
    pub fn mounts(&self) -> &Mounts {
        self.mounts.as_ref().expect("it was given some")
    }

    /// Has another program start it, which replaces itself: `prlimit`, `setpriv`, ...
    pub fn start_by(&mut self, words: &str) {
        self.start_through(&words.split_whitespace().collect::<Vec<_>>());
    }

    /// The same, with words that have spaces in them.
    pub fn start_through(&mut self, words: &[&str]) {
        self.starter = words.iter().map(ToString::to_string).collect();
    }

    /// Makes it look back on an earlier run that has ended in order, an hour ago: then it admits
    /// knocks as soon as it has started, however far clocks may be off.
    pub fn settle(&self) {
        let state = self.file("state");
        let (hour, window) = (Duration::from_secs(3600), Duration::from_secs(1));
        let boot = "00000000-0000-0000-0000-000000000001".parse().expect("a boot id");
        self.inside(|| {
            fs::create_dir_all(&state).expect("our folder");
            let opened = Journal::open(&state, &boot, now().before(hour), window, 1000);
            opened.expect("our folder").0.close().expect("our folder");
        });
    }

    /// Sets an environment variable for all that is started from now on.
    pub fn export(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Writes its configuration; it reads it at its start, and on reload.
    pub fn configure(&self, config: &Config) {
        self.configure_as(&config.text());
    }

    /// Writes this text as its configuration, right or wrong.
    pub fn configure_as(&self, text: &str) {
        fs::write(self.config_file(), text).expect("our folder");
    }

    /// A file in its folder, where relative paths of its configuration begin.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config_file(&self) -> PathBuf {
        self.file("config.ini")
    }

    /// Waits for `text` in the log since the start; returns the whole line. Lines end with `\n`.
    #[track_caller]
    pub fn wait_for(&self, text: &str) -> String {
        self.log.wait_for(text, self.begun)
    }

    /// Waits for `text` in the log since `mark`; returns the whole line.
    #[track_caller]
    pub fn wait_since(&self, mark: usize, text: &str) -> String {
        self.log.wait_for(text, mark)
    }

    /// Waits for the log line, in JSON, about a knock.
    #[track_caller]
    pub fn verdict(&self, knock: &Sent) -> Value {
        self.verdict_on(knock.source())
    }

    /// The same of a datagram that came from `source`.
    #[track_caller]
    pub fn verdict_on(&self, source: SocketAddr) -> Value {
        let line = self.log.wait_for(&format!("\"source\":\"{source}\""), self.begun);
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Now, for [`Self::wait_since`].
    pub fn mark(&self) -> usize {
        self.log.lines().len()
    }

    /// All log lines since `mark`, over all its starts.
    pub fn said_since(&self, mark: usize) -> Vec<String> {
        self.log.lines().iter().skip(mark).cloned().collect()
    }

    /// The number of log lines with `text` since the start.
    pub fn times_said(&self, text: &str) -> usize {
        self.log.lines().iter().skip(self.begun).filter(|line| line.contains(text)).count()
    }

    /// The privileged process.
    pub fn parent(&self) -> Pid {
        let running = self.running.as_ref().expect("it runs");
        Pid::from_raw(running.child.id().cast_signed())
    }

    /// The network process, once there is one.
    #[track_caller]
    pub fn network(&self) -> Pid {
        some("a network process", || process::children(self.parent()).first().copied())
    }

    /// Sends a signal to the privileged process.
    pub fn signal(&self, signal: Signal) {
        kill(self.parent(), signal).expect("it runs");
    }

    /// Makes it reload, and waits for the end of that.
    #[track_caller]
    pub fn reload(&self) {
        let mark = self.mark();
        self.signal(Signal::SIGHUP);
        self.wait_since(mark, self.accepting());
    }

    /// Has it stop in order, and waits for that.
    #[track_caller]
    pub fn stop(&mut self) -> Ended {
        self.signal(Signal::SIGTERM);
        self.wait_for_end()
    }

    /// `kill -9` of both processes, and waits until they are gone.
    #[track_caller]
    pub fn crash(&mut self) {
        // The parent first, or it would start another network process.
        let both = [self.parent(), self.network()];
        for pid in both {
            // The network process ends with its parent and may be gone.
            let _ = kill(pid, Signal::SIGKILL);
        }
        self.wait_for_end();
        until("both processes are gone", || !both.into_iter().any(process::runs));
    }

    /// Whether it was started and does not run any more.
    pub fn has_ended(&mut self) -> bool {
        let running = self.running.as_mut();
        running.is_some_and(|one| one.child.try_wait().expect("it is our child").is_some())
    }

    /// Waits until it ends by itself.
    #[track_caller]
    pub fn wait_for_end(&mut self) -> Ended {
        let running = self.running.as_mut().expect("it runs");
        let status: ExitStatus =
            some("sknockd ends", || running.child.try_wait().expect("it is our child"));
        until("the network process ends too", || running.reader.is_finished());
        self.running = None;
        let said = self.log.lines()[self.begun..].concat();
        Ended { code: status.code(), said }
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        if let Some(Running { mut child, .. }) = self.running.take() {
            // The network process ends with it.
            let _ = child.kill().and_then(|()| child.wait());
        }
        if thread::panicking() {
            eprintln!("sknockd said:\n{}", self.log.lines().concat());
        }
    }
}
