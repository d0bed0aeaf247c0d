//! PKCS#12 files. The first byte says whether the rest is a file, what its MAC protects, or the bags
//! in that.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sknock_fuzz::pfx::{self, PASSWORD};
use sknock_protocol::{Bundle, Identity, ServerKey};

/// Whether there may be an INTEGER from 65,536 to 1,048,575: as a number of iterations up to a second
/// of work, which the library allows and a fuzzer cannot afford. What is larger it refuses.
fn is_costly(input: &[u8]) -> bool {
    input.windows(3).any(|window| matches!(window, [2, 3, 1..=15]))
}

fuzz_target!(|input: &[u8]| {
    let [kind, rest @ ..] = input else { return };
    if is_costly(rest) {
        return;
    }
    let file = match kind % 3 {
        0 => rest.to_vec(),
        1 => pfx::file(rest),
        _ => pfx::file(&pfx::plain_safe(rest)),
    };
    // Another way than with a password, and never one around the MAC.
    if Bundle::open(&file, "").is_ok() {
        assert!(Bundle::open(&file, PASSWORD).is_err(), "one MAC for two passwords");
    }
    let Ok(bundle) = Bundle::open(&file, PASSWORD) else { return };
    assert!(!bundle.certificate().is_empty() && !bundle.key().pkcs8().is_empty());
    assert!(bundle.authorities().iter().all(|other| other != bundle.certificate()));
    let _ = Identity::from_bundle(&bundle);
    let _ = ServerKey::from_bundle(&bundle);
});
