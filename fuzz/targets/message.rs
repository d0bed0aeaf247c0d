//! A decrypted message. What is read must be written the same way again: one encoding for each.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sknock_fuzz::genuine::MESSAGE;
use sknock_protocol::v2::fuzzing::rewrite;

fuzz_target!(|input: &[u8]| {
    let mut message = input.to_vec();
    if message.len() < MESSAGE {
        message.resize(MESSAGE, 0);
    }
    if let Some(again) = rewrite(&message) {
        assert_eq!(again, message, "two byte strings mean the same knock");
    }
});
