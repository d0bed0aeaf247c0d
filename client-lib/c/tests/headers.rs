//! The installed headers match the sources.

#[path = "support/generate.rs"]
mod generate;

#[test]
fn the_headers_are_up_to_date() {
    for (path, expected) in generate::headers() {
        let found = std::fs::read_to_string(&path).unwrap();
        assert_eq!(found, expected, "{} is not what the sources say: make header", path.display());
    }
}

#[test]
fn the_manual_page_is_of_this_header() {
    let [(_, header), _] = generate::headers();
    sknock_manual::compare(&[sknock_manual::library_page(&header)]);
}

/// Only some values of `bool` and of an enumeration are valid, and a C program can pass any.
#[test]
fn every_value_of_what_c_programs_pass_is_valid() {
    for (path, text) in generate::headers() {
        let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        assert!(!words.iter().any(|word| ["bool", "_Bool"].contains(word)), "{}", path.display());
    }
}
