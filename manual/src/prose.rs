//! Long texts of `--help` as paragraphs of a page.

use roff::{Roff, bold, roman};

/// The whole page of its parts: with a title, and the definition of an apostrophe only once.
pub(crate) fn page((name, section): (&str, u8), parts: &[String]) -> String {
    // Without a date: the sources have none.
    let title =
        format!(".TH {name} {section} \"\" \"sKnock {}\" sKnock\n", env!("CARGO_PKG_VERSION"));
    let parts = parts.iter().map(|part| part.strip_prefix(APOSTROPHE).unwrap_or(part));
    let parts: String = parts.collect();
    format!("{APOSTROPHE}{title}{parts}")
}

/// What `roff` begins each piece with.
const APOSTROPHE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";

/// Adds a text: paragraphs are filled; what is indented, or has columns, keeps its lines. A first line that ends
/// with a colon stands above the rest.
pub(crate) fn add(page: &mut Roff, text: &str) {
    for paragraph in text.split("\n\n") {
        page.control("PP", []);
        let lines: Vec<&str> = paragraph.lines().collect();
        let is_set = |line: &&str| line.starts_with("  ");
        if lines.iter().any(is_set) {
            page.control("nf", []);
            for line in lines {
                page.text([roman(line)]);
            }
            page.control("fi", []);
        } else {
            page.text([roman(lines.join(" "))]);
        }
    }
}

/// Adds an entry: a term, what it means, and a last line by itself.
pub(crate) fn entry(page: &mut Roff, term: &str, text: &str, last: &str) {
    page.control("TP", []);
    page.text([bold(term)]);
    for line in text.lines() {
        page.text([roman(line)]);
    }
    // A paragraph that is indented as the one before.
    page.control("IP", []);
    page.text([roman(last)]);
}
