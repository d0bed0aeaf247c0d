//! What one peer has sent, line by line. Bounded; no system call.

/// The longest line, in bytes, without its end.
pub const MAX_LINE: usize = 64 * 1024;

/// Bytes that came, until they are taken as lines.
#[derive(Debug, Default)]
pub struct Lines {
    waiting: Vec<u8>,
    /// How much of it was looked at, and has no end of a line.
    looked_at: usize,
}

/// The next thing in what came.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NextLine {
    /// A line, without its end.
    Line(Vec<u8>),
    /// More is needed.
    Nothing,
    /// A line that is too long has begun; nothing behind it is looked at.
    TooLong,
}

impl Lines {
    /// How many bytes more may come now; none while a whole line may wait.
    pub fn room(&self) -> usize {
        (MAX_LINE + 1).saturating_sub(self.waiting.len())
    }

    /// Takes what came: at most [`Lines::room`] bytes, the rest is dropped.
    pub fn push(&mut self, bytes: &[u8]) {
        self.waiting.extend(bytes.iter().take(self.room()));
    }

    /// Takes out the next line.
    pub fn next_line(&mut self) -> NextLine {
        let fresh = self.waiting.get(self.looked_at..).unwrap_or_default();
        let Some(end) = fresh.iter().position(|byte| *byte == b'\n') else {
            self.looked_at = self.waiting.len();
            return if self.room() == 0 { NextLine::TooLong } else { NextLine::Nothing };
        };
        let end = self.looked_at + end;
        let rest = self.waiting.split_off(end + 1);
        let mut line = std::mem::replace(&mut self.waiting, rest);
        line.truncate(end);
        self.looked_at = 0;
        NextLine::Line(line)
    }

    /// Whether a whole line waits, or one that is too long.
    pub fn is_due(&self) -> bool {
        self.room() == 0
            || self.waiting.get(self.looked_at..).is_some_and(|new| new.contains(&b'\n'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_one_by_one_however_they_came_in() {
        let text = b"one\n\ntwo\nhalf";
        for size in 1..=text.len() {
            let mut lines = Lines::default();
            let mut found = Vec::new();
            for part in text.chunks(size) {
                lines.push(part);
                while let NextLine::Line(line) = lines.next_line() {
                    found.push(line);
                }
                assert!(!lines.is_due());
            }
            assert_eq!(found, [&b"one"[..], b"", b"two"], "{size}");
            assert_eq!(lines.next_line(), NextLine::Nothing);
        }
    }

    #[test]
    fn the_longest_line_is_one_and_a_byte_more_is_none() {
        let mut lines = Lines::default();
        lines.push(&vec![b'x'; MAX_LINE]);
        assert_eq!((lines.next_line(), lines.is_due()), (NextLine::Nothing, false));
        lines.push(b"\n");
        assert!(lines.is_due());
        assert_eq!(lines.next_line(), NextLine::Line(vec![b'x'; MAX_LINE]));
        lines.push(&vec![b'x'; 1 << 20]);
        assert_eq!((lines.room(), lines.is_due()), (0, true));
        assert_eq!((lines.next_line(), lines.next_line()), (NextLine::TooLong, NextLine::TooLong));
    }
}
