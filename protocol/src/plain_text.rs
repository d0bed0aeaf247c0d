//! Text that others have chosen (names, arguments, file names), made fit for a terminal and a log: nothing that a
//! terminal obeys, or that shows text from right to left.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether this is not shown as it is: control characters, line and paragraph separators, and what changes the
/// direction of text.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
}

/// Text of one or more lines, with hidden characters but tabs and ends of lines escaped: as JSON has them, or
/// (`\u{1b}`) for people.
pub fn escaped(text: &str, json: bool) -> Cow<'_, str> {
    let is_shown = |c: char| matches!(c, '\n' | '\t') || !is_hidden(c);
    if text.chars().all(is_shown) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 64);
    for c in text.chars() {
        match c {
            _ if is_shown(c) => shown.push(c),
            // All of them are in the first plane, so four digits do. Into a string it cannot fail.
            _ if json => write!(shown, "\\u{:04x}", u32::from(c)).unwrap_or(()),
            _ => shown.extend(c.escape_unicode()),
        }
    }
    Cow::Owned(shown)
}

/// Text for people that is to be one line: ends of lines are escaped, too.
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
