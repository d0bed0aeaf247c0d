//! Regenerates `include/sknock.h` and `include/knock.h`: `make header`.

#[path = "../tests/support/generate.rs"]
mod generate;

fn main() -> std::io::Result<()> {
    for (path, text) in generate::headers() {
        std::fs::write(path, text)?;
    }
    Ok(())
}
