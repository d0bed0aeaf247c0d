//! Writing DER.

pub const INTEGER: u8 = 0x02;
pub const BIT_STRING: u8 = 0x03;
pub const OCTET_STRING: u8 = 0x04;
pub const NULL: u8 = 0x05;
pub const OBJECT_IDENTIFIER: u8 = 0x06;
pub const UTF8_STRING: u8 = 0x0c;
pub const UTC_TIME: u8 = 0x17;
pub const SEQUENCE: u8 = 0x30;
/// `[0]`, constructed.
pub const CONTEXT_0: u8 = 0xa0;
/// `[3]`, constructed.
pub const CONTEXT_3: u8 = 0xa3;

/// One element.
pub fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let digits = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let head = match digits {
        [] => vec![tag, 0],
        [short @ 0..0x80] => vec![tag, *short],
        long => {
            let count = u8::try_from(long.len()).expect("eight at most");
            [&[tag, 0x80 | count], long].concat()
        }
    };
    [head.as_slice(), content].concat()
}

/// A sequence of these elements.
pub fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(SEQUENCE, &parts.concat())
}

/// An object identifier, from its content.
pub fn oid(content: &[u8]) -> Vec<u8> {
    element(OBJECT_IDENTIFIER, content)
}

/// A bit string of whole bytes.
pub fn bit_string(bytes: &[u8]) -> Vec<u8> {
    element(BIT_STRING, &[&[0], bytes].concat())
}
