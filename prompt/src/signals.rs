//! Restores the settings of the terminal before a signal ends the program.

use std::fs::File;
use std::io;
use std::os::unix::thread::JoinHandleExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::sys::pthread::pthread_kill;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise};
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};

/// The signals that a terminal, a shell or a service manager ends programs with.
const ENDING: [Signal; 4] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];

/// Runs `ask`, which may change the terminal. A second thread takes the signals of [`ENDING`] during this time.
///
/// On Ctrl-C, rpassword sends SIGINT to its own thread, before it restores the terminal: the signal waits there
/// until this function sets the earlier mask.
pub(crate) fn during<T>(ask: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    // Before the thread is made, which inherits the mask: sigwait(3) takes only signals that are blocked.
    let before = SigSet::from_iter(ENDING).thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    let ended = Arc::new(AtomicBool::new(false));
    let watcher = {
        let (terminal, ended) = (Terminal::now(), Arc::clone(&ended));
        thread::Builder::new().spawn(move || watch(terminal.as_ref(), &ended))
    };
    let answer = ask();
    if let Ok(watcher) = watcher {
        ended.store(true, Ordering::SeqCst);
        // To this thread alone, which waits for it; a SIGTERM to the process stays pending.
        if pthread_kill(watcher.as_pthread_t(), Signal::SIGTERM).is_ok() {
            watcher.join().ok();
        }
    }
    before.thread_set_mask()?;
    answer
}

fn watch(terminal: Option<&Terminal>, ended: &AtomicBool) {
    while let Ok(signal) = SigSet::from_iter(ENDING).wait() {
        if ended.load(Ordering::SeqCst) {
            return;
        }
        let hidden = terminal.and_then(Terminal::restore);
        let signal_only = SigSet::from(signal);
        signal_only.thread_unblock().ok();
        raise(signal).ok();
        // Still here: this process ignores the signal (nohup, for example), so the prompt stays.
        signal_only.thread_block().ok();
        if let (Some(terminal), Some(hidden)) = (terminal, hidden) {
            terminal.set(&hidden);
        }
    }
}

/// The terminal of the process, and its settings before the prompt.
struct Terminal {
    file: File,
    settings: Termios,
}

impl Terminal {
    /// `None` without a terminal: then rpassword reports the error.
    fn now() -> Option<Self> {
        let file = File::open("/dev/tty").ok()?;
        let settings = tcgetattr(&file).ok()?;
        Some(Self { file, settings })
    }

    /// Sets the settings from before the prompt. Returns those that it replaced.
    fn restore(&self) -> Option<Termios> {
        let replaced = tcgetattr(&self.file).ok()?;
        self.set(&self.settings);
        Some(replaced)
    }

    fn set(&self, settings: &Termios) {
        // Fails after a hang-up; then nobody types there.
        tcsetattr(&self.file, SetArg::TCSANOW, settings).ok();
    }
}
