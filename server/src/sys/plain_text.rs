//! Escapes untrusted text (names in certificates, output of another process) for the log: no control
//! sequences, no line ends, no right-to-left overrides.

use std::borrow::Cow;

use sknock_protocol::plain_text;
pub(crate) use sknock_protocol::plain_text::is_hidden;

/// At most `max` characters of `text` as the log escapes them. Truncated text ends with an ellipsis.
pub(crate) fn cut(text: &str, max: usize) -> Cow<'_, str> {
    let mut length = 0;
    for (at, c) in text.char_indices() {
        length += width(c);
        if length > max {
            return Cow::Owned(format!("{}\u{2026}", text.get(..at).unwrap_or_default()));
        }
    }
    Cow::Borrowed(text)
}

/// The width of the escaped character: `\u{202e}` in a text log, `\u202e` in JSON.
fn width(c: char) -> usize {
    let people = c.escape_debug().count();
    if is_hidden(c) { people.max(6) } else { people }
}

/// Lines of another process: each hidden character except tabs and line ends, and each byte that is not
/// UTF-8, becomes an underscore.
pub(crate) fn lines(bytes: Vec<u8>) -> Vec<u8> {
    let fine = |byte: &u8| matches!(byte, b'\n' | b'\t' | b' '..=b'~');
    if bytes.iter().all(fine) {
        return bytes;
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        let keeps = |c: char| matches!(c, '\n' | '\t') || !is_hidden(c);
        text.extend(chunk.valid().chars().map(|c| if keeps(c) { c } else { '_' }));
        text.extend(chunk.invalid().iter().map(|_| '_'));
    }
    text.into_bytes()
}

/// One of our own lines: hidden characters except tabs and line ends are escaped as in JSON or as in the text
/// log.
pub(crate) fn escaped(line: &[u8], json: bool) -> Cow<'_, [u8]> {
    let fine = |byte: &u8| matches!(byte, b'\n' | b'\t' | b' '..=b'~');
    if line.iter().all(fine) {
        return Cow::Borrowed(line);
    }
    let line = String::from_utf8_lossy(line);
    Cow::Owned(plain_text::escaped(&line, json).into_owned().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::{cut, escaped, lines};

    #[test]
    fn truncated_text_is_short_also_when_escaped() {
        assert_eq!(cut("alice", 5), "alice");
        assert_eq!(cut("alice", 4), "alic\u{2026}");
        assert_eq!(cut("\u{1}\u{1}", 6), "\u{1}\u{2026}");
        assert_eq!(cut("\u{202e}x", 8), "\u{202e}\u{2026}");
        assert_eq!(cut("\"\"", 3), "\"\u{2026}");
        assert_eq!(cut("\u{434}\u{434}", 2), "\u{434}\u{434}");
        assert_eq!(cut("", 0), "");
    }

    #[test]
    fn lines_of_another_process_have_no_hidden_characters() {
        let plain = b"a line\twith a tab\n".to_vec();
        assert_eq!(lines(plain.clone()), plain);
        let odd =
            b"\x1b[31m\x00\r\x7f \x9b \xc2\x9b \xe2\x80\xa8 \xe2\x81\xa9 \xc3\xa4\xff\n".to_vec();
        assert_eq!(lines(odd), "_[31m___ _ _ _ _ \u{e4}_\n".as_bytes());
    }

    #[test]
    fn hidden_characters_in_our_lines_are_escaped_and_json_reads_them_back() {
        let line = "{\"subject\":\"a\u{85}\u{2028}\u{202e}\u{7f}\u{e4}\"}\n";
        let json = escaped(line.as_bytes(), true);
        assert_eq!(json, "{\"subject\":\"a\\u0085\\u2028\\u202e\\u007f\u{e4}\"}\n".as_bytes());
        let read: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(read["subject"], "a\u{85}\u{2028}\u{202e}\u{7f}\u{e4}");
        assert_eq!(escaped("x\u{1b}\u{85}\n".as_bytes(), false), &b"x\\u{1b}\\u{85}\n"[..]);
    }
}
