//! The headers that are installed say what the sources say.

#[path = "support/generate.rs"]
mod generate;

#[test]
fn the_headers_are_up_to_date() {
    for (path, expected) in generate::headers() {
        let found = std::fs::read_to_string(&path).unwrap();
        assert_eq!(found, expected, "{} is not what the sources say: make header", path.display());
    }
}
