//! A door for the fuzzer into a room that has none. It is there only under `cfg(fuzzing)`, which
//! `make fuzz` sets: no program has it.

use super::MESSAGE_LENGTH;
use super::message::V2Message;
use super::unsigned::UnsignedMessage;

/// Reads a decrypted message and writes what was read; `None` if it is refused.
///
/// # Panics
///
/// If what was read cannot be written.
pub fn rewrite(message: &[u8]) -> Option<Vec<u8>> {
    let V2Message { wish, secret, certificate, signature, .. } = V2Message::read(message).ok()?;
    let draft =
        UnsignedMessage::new(&wish, secret, certificate, signature.len()).expect("it was read");
    let length = u8::try_from(signature.len()).expect("it was read from a byte");
    let mut again = [draft.unsigned(), &[length], signature].concat();
    again.resize(MESSAGE_LENGTH, 0);
    Some(again)
}
