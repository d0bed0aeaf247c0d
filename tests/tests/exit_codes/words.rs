//! Arguments that nobody means.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use crate::bench::Case;

/// Where an argument stands that may be anything; `*` is its place.
const FORMS: [(&str, &str); 23] = [
    ("sknockd", "*"),
    ("sknockd", "run --config *"),
    ("sknockd", "run --confirm *"),
    ("sknockd", "reload --confirm *"),
    ("sknockd", "check --config *"),
    ("sknockd", "explain --config * --from 192.0.2.1 x"),
    ("sknockd", "explain --config /dev/null --at * --from 192.0.2.1 x"),
    ("sknockd", "explain --config /dev/null --from * x"),
    ("sknockd", "explain --config /dev/null --from 192.0.2.1 *"),
    ("sknockd", "close --knock *"),
    ("sknockd", "close --name *"),
    ("sknockd", "close --serial *"),
    ("sknockd", "network *"),
    ("sknock", "*"),
    ("sknock", "knock *"),
    ("sknock", "knock --identity * 192.0.2.1 tcp/22"),
    ("sknock", "knock 192.0.2.1 *"),
    ("sknock", "connect 192.0.2.1 *"),
    ("sknock-ca", "*"),
    ("sknock-ca", "--dir * list"),
    ("sknock-ca", "--dir /dev/null/a init --name *"),
    ("sknock-ca", "--dir /dev/null/a client * --allow tcp/22"),
    ("sknock-ca", "--dir /dev/null/a revoke *"),
];

/// Each form with each argument.
pub(crate) fn absurd() -> Vec<Case> {
    let absurd: [Vec<u8>; 8] = [
        b"".to_vec(),
        b"\xff\xfe".to_vec(),
        b"/dev/null/\xff.ini".to_vec(),
        vec![b'a'; 100_000],
        "ü/".repeat(30_000).into_bytes(),
        b"99999999999999999999999999999".to_vec(),
        b"\n\t\x1b[31m".to_vec(),
        b"--".to_vec(),
    ];
    let mut cases = Vec::new();
    for (program, form) in FORMS {
        for argument in &absurd {
            let argument = OsString::from_vec(argument.clone());
            let words = form.split(' ').map(|word| match word {
                "*" => argument.clone(),
                word => word.into(),
            });
            cases.push(Case { program, words: words.collect(), plain: 2, is_to_be_read: false });
        }
    }
    cases
}
