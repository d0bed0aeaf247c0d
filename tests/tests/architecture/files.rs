//! How files look: each says what it is for, and can be read in one sitting.

use crate::house;

/// About four screens.
const LONGEST: usize = 400;

#[test]
fn each_file_begins_with_what_it_is_for() {
    for source in house::sources() {
        let first = source.text.lines().next().unwrap_or_default();
        assert!(
            first.starts_with("//! ") && first.len() > 10,
            "{}: its first line says what lives here, so that nobody has to guess what belongs",
            source.path
        );
    }
}

#[test]
fn no_file_is_too_long() {
    for source in house::sources() {
        let lines = source.text.lines().count();
        assert!(
            lines <= LONGEST,
            "{} has {lines} lines: over {LONGEST} it is two things; give each its own file",
            source.path
        );
    }
}

#[test]
fn nothing_is_left_for_later() {
    // Written so that this file does not contain them.
    let marks = [["to", "do!("], ["unimplem", "ented!("], ["FIX", "ME"], ["#[ign", "ore"]];
    for source in house::sources() {
        for mark in marks.map(|parts| parts.concat()) {
            assert!(
                !source.text.contains(&mark),
                "{}: `{mark}`: what is in the house works, and each of its tests runs",
                source.path
            );
        }
    }
}
