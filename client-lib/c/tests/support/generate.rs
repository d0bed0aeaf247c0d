//! The two headers, made from the sources by cbindgen.

use std::path::{Path, PathBuf};

use cbindgen::{Builder, Config, Style};

/// The file with types that both headers use.
const SHARED: &str = "argument.rs";

/// Each header's path and expected content.
pub(crate) fn headers() -> [(PathBuf, String); 2] {
    let ours = ["failure.rs", "identity.rs", "server.rs", "client.rs", "options.rs", "opened.rs"];
    [
        header("sknock.h", &ours, (Style::Type, &["stddef.h", "stdint.h"]), SKNOCK),
        header("knock.h", &["original.rs"], (Style::Tag, &[]), KNOCK),
    ]
}

const SKNOCK: &str = "\
// libsknock: opens services hidden by sKnock. See docs/C.md for an example.
//
// Every function may be called from any thread. None ends the process, unless there is no memory left.
// None prints anything, except for a bug in the library, which is reported on standard error and as
// SKNOCK_RESULT_INTERNAL.
//
// Text is UTF-8 and ends with a zero byte. Arguments stay yours and are read during the call only; NULL, or
// invalid UTF-8, is an error and does not crash. You own a pointer that a function returns until you free it
// with the function for it, unless the function's comment differs.
//
// Generated from the sources by `make header`; do not edit.";

const KNOCK: &str = "\
// The original sKnock's C library, name for name, over libsknock: link with -lknock or -lsknock.
//
// Every function may be called from any thread. None ends the process. Options without an argument in the
// original are in the environment, and read when a handle is made: SKNOCK_PROTOCOL is v2, or v1 for servers
// of the original (default v2), SKNOCK_KNOCK_PORT is the server's knock port (default 62344; with v1 any from
// 10000 to 60000).
//
// Generated from the sources by `make header`; do not edit.";

fn header(
    name: &str,
    sources: &[&str],
    (style, includes): (Style, &[&str]),
    preface: &str,
) -> (PathBuf, String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut config = Config::from_file(folder.join("cbindgen.toml")).expect("it is TOML");
    config.header = Some(preface.to_owned());
    config.style = style;
    config.sys_includes = includes.iter().copied().map(str::to_owned).collect();
    config.include_guard = Some(name.to_uppercase().replace('.', "_"));
    let mut builder = Builder::new().with_config(config);
    for source in [SHARED].iter().chain(sources) {
        builder = builder.with_src(folder.join("src").join(source));
    }
    let mut text = Vec::new();
    builder.generate().expect("cbindgen understands the sources").write(&mut text);
    let text = String::from_utf8(text).expect("cbindgen writes UTF-8");
    (folder.join("include").join(name), text.lines().map(tidy).collect())
}

/// cbindgen inserts an extra space at a renamed pointer type.
fn tidy(line: &str) -> String {
    let code = !line.trim_start().starts_with("//");
    let line = if code { line.replace("* ", "*") } else { line.to_owned() };
    line + "\n"
}
