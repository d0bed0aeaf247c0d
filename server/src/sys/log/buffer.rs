//! What a thread has told and not yet written. No system call; whoever calls says where it goes.

use std::cell::RefCell;

/// What a pipe that polls as writable has room for, in bytes: `PIPE_BUF` of Linux.
pub(super) const PAGE: usize = 4096;

/// Whole lines, together no more than a page, or a single longer one.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    lines: u64,
}

impl Buffer {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    fn add(&mut self, line: &[u8], write: impl FnOnce(&Self)) {
        if self.bytes.len() + line.len() > PAGE {
            self.empty(write);
        }
        self.bytes.extend_from_slice(line);
        self.lines += 1;
    }

    fn empty(&mut self, write: impl FnOnce(&Self)) {
        if self.lines > 0 {
            write(self);
        }
        self.bytes.clear();
        self.lines = 0;
    }
}

/// This thread's page, and whether it is held back.
#[derive(Debug, Default)]
struct Page {
    held: Buffer,
    is_held: bool,
}

thread_local! {
    static PAGE_OF_THIS_THREAD: RefCell<Page> = RefCell::default();
}

/// Lines are held back from now on.
pub(super) fn hold() {
    PAGE_OF_THIS_THREAD.with_borrow_mut(|page| page.is_held = true);
}

/// No line is held back any more; `write` gets those that were.
pub(super) fn release(write: fn(&Buffer)) {
    PAGE_OF_THIS_THREAD.with_borrow_mut(|page| {
        page.is_held = false;
        page.held.empty(write);
    });
}

/// One line more. `write` gets it now if none is held back, else with its neighbours.
pub(super) fn add(line: &[u8], write: fn(&Buffer)) {
    PAGE_OF_THIS_THREAD.with_borrow_mut(|page| {
        page.held.add(line, write);
        if !page.is_held {
            page.held.empty(write);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    thread_local! {
        static WRITTEN: RefCell<Vec<(usize, u64)>> = RefCell::default();
    }

    fn note(held: &Buffer) {
        WRITTEN.with_borrow_mut(|written| written.push((held.bytes().len(), held.lines())));
    }

    #[test]
    fn lines_are_written_at_once_or_held_and_written_together_a_page_at_a_time() {
        add(b"alone\n", note);
        hold();
        for _ in 0..9 {
            add(&[b'x'; 1000], note);
        }
        WRITTEN.with_borrow(|written| assert_eq!(written[..], [(6, 1), (4000, 4), (4000, 4)]));
        release(note);
        add(b"alone\n", note);
        WRITTEN.with_borrow(|written| assert_eq!(written[3..], [(1000, 1), (6, 1)]));
    }

    #[test]
    fn a_line_longer_than_a_page_is_written_whole_and_by_itself() {
        hold();
        add(b"before\n", note);
        add(&[b'x'; 5000], note);
        add(b"after\n", note);
        release(note);
        WRITTEN.with_borrow(|written| assert_eq!(written[..], [(7, 1), (5000, 1), (6, 1)]));
    }
}
