//! Escapes text from untrusted sources (names, arguments, file names) for terminals and logs: no control
//! sequences, and no right-to-left overrides.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether this character is escaped: control characters, line and paragraph separators, and characters that
/// change the direction of text.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
}

/// Escapes hidden characters except tabs and newlines, as JSON does or, for people, as `\u{1b}`.
pub fn escaped(text: &str, json: bool) -> Cow<'_, str> {
    let is_shown = |c: char| matches!(c, '\n' | '\t') || !is_hidden(c);
    if text.chars().all(is_shown) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 64);
    for c in text.chars() {
        match c {
            _ if is_shown(c) => shown.push(c),
            // All hidden characters are in plane 0, so four digits suffice. Writing to a String cannot fail.
            _ if json => write!(shown, "\\u{:04x}", u32::from(c)).unwrap_or(()),
            _ => shown.extend(c.escape_unicode()),
        }
    }
    Cow::Owned(shown)
}

/// Text for people as one line: newlines are escaped, too.
pub fn one_line(text: &str) -> Cow<'_, str> {
    match escaped(text, false) {
        shown if shown.contains('\n') => Cow::Owned(shown.replace('\n', "\\n")),
        shown => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::{escaped, one_line};

    #[test]
    fn hidden_characters_are_escaped_and_json_reads_them_back() {
        for plain in ["", "a line\twith a tab\n", "\u{e4}\u{434}"] {
            assert_eq!(escaped(plain, false), plain);
            assert_eq!(escaped(plain, true), plain);
        }
        assert_eq!(escaped("a\u{1b}[m\u{85}\u{202e}\n", false), "a\\u{1b}[m\\u{85}\\u{202e}\n");
        assert_eq!(escaped("a\u{7f}\u{85}\u{202e}", true), "a\\u007f\\u0085\\u202e");
        assert_eq!(one_line("a\nb\u{1b}"), "a\\nb\\u{1b}");
    }
}
