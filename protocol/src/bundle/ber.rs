//! From BER to DER: NSS, Bouncy Castle and others write PKCS#12 files with indefinite lengths and with
//! strings in pieces (X.690, 8). The library reads DER only.
//!
//! Bounded: no deeper than [`DEEPEST`], each byte looked at once a level, nothing larger than the input.

use x509_parser::asn1_rs::{FromBer, Header, Length};

use crate::der::{CONTEXT_0, DerElements, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, encode};

/// The frame of a PKCS#12 file has seven levels, its content ten.
const DEEPEST: usize = 16;

const SET: u8 = 0x31;
/// An OCTET STRING in pieces.
const OCTET_PIECES: u8 = 0x24;
/// `[0]`, primitive.
const CONTEXT_0_PRIMITIVE: u8 = 0x80;
const END_OF_CONTENTS: [u8; 2] = [0, 0];

/// An element of DER.
struct BerElement {
    tag: u8,
    content: Vec<u8>,
}

/// Converts the one BER element in `ber` to DER. DER stays as it is. Values of types that do not occur in
/// PKCS#12 frames are not converted.
pub(super) fn to_der(ber: &[u8]) -> Option<Vec<u8>> {
    let (rest, element) = read(ber, DEEPEST)?;
    rest.is_empty().then(|| encode(element.tag, &[&element.content]))
}

/// The first element, and what follows it.
fn read(input: &[u8], depth: usize) -> Option<(&[u8], BerElement)> {
    let tag = *input.first()?;
    let (rest, header) = Header::from_ber(input).ok()?;
    // 0: an end-of-contents where none may be. 0x1f: a tag of several bytes (X.690, 8.1.2.4), which PKCS#12
    // does not use.
    if tag == 0 || tag & 0x1f == 0x1f {
        return None;
    }
    match (header.is_constructed(), header.length()) {
        (false, Length::Definite(length)) => {
            let (content, rest) = rest.split_at_checked(length)?;
            Some((rest, BerElement { tag, content: content.to_vec() }))
        }
        (true, Length::Definite(length)) => {
            let (mut content, rest) = rest.split_at_checked(length)?;
            let mut parts = Vec::new();
            while !content.is_empty() {
                let (after, part) = read(content, depth.checked_sub(1)?)?;
                parts.push(part);
                content = after;
            }
            Some((rest, joined(tag, parts)?))
        }
        (true, Length::Indefinite) => {
            let (mut rest, mut parts) = (rest, Vec::new());
            loop {
                if let Some(after) = rest.strip_prefix(&END_OF_CONTENTS) {
                    return Some((after, joined(tag, parts)?));
                }
                let (after, part) = read(rest, depth.checked_sub(1)?)?;
                parts.push(part);
                rest = after;
            }
        }
        // X.690, 8.1.3.2: only a constructed encoding has an end-of-contents.
        (false, Length::Indefinite) => None,
    }
}

/// Joins the parts of an element that is constructed in BER.
fn joined(tag: u8, mut parts: Vec<BerElement>) -> Option<BerElement> {
    if tag == OCTET_PIECES {
        let pieces =
            parts.into_iter().map(|part| (part.tag == OCTET_STRING).then_some(part.content));
        let content = pieces.collect::<Option<Vec<_>>>()?.concat();
        return Some(BerElement { tag: OCTET_STRING, content });
    }
    if tag == SEQUENCE {
        content_in_one_piece(&mut parts);
    }
    let mut parts: Vec<_> = parts.iter().map(|part| encode(part.tag, &[&part.content])).collect();
    if tag == SET {
        // DER sorts the elements of a SET OF (X.690, 11.6).
        parts.sort_unstable();
    }
    Some(BerElement { tag, content: parts.concat() })
}

/// `EncryptedContentInfo ::= SEQUENCE { OBJECT IDENTIFIER, SEQUENCE, [0] IMPLICIT OCTET STRING }`: the
/// implicit tag hides that the last field is a string, which may be in pieces. No other sequence of PKCS#12
/// begins like this.
fn content_in_one_piece(parts: &mut [BerElement]) {
    let [kind, algorithm, content] = parts else { return };
    if (kind.tag, algorithm.tag, content.tag) != (OBJECT_IDENTIFIER, SEQUENCE, CONTEXT_0) {
        return;
    }
    let (mut pieces, mut whole) = (DerElements::new(&content.content), Vec::new());
    while !pieces.is_at_end() {
        let Ok(piece) = pieces.one(OCTET_STRING) else { return };
        whole.extend_from_slice(piece.content);
    }
    *content = BerElement { tag: CONTEXT_0_PRIMITIVE, content: whole };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indefinite_lengths_and_pieces_become_der() {
        for (ber, der) in [
            (&[0x30, 0x80, 2, 1, 3, 0, 0][..], &[0x30, 3, 2, 1, 3][..]),
            (&[0x30, 0x82, 0, 3, 2, 1, 3], &[0x30, 3, 2, 1, 3]),
            (&[0x24, 0x80, 4, 1, 7, 0x24, 3, 4, 1, 8, 4, 0, 0, 0], &[4, 2, 7, 8]),
            (&[0x30, 0x80, 0xa0, 0x80, 0, 0, 0, 0], &[0x30, 2, 0xa0, 0]),
            (&[0x31, 6, 4, 1, 2, 4, 1, 1], &[0x31, 6, 4, 1, 1, 4, 1, 2]),
            // EncryptedContentInfo, its content in two pieces
            (
                &[0x30, 14, 6, 1, 9, 0x30, 0, 0xa0, 0x80, 4, 1, 7, 4, 0, 0, 0],
                &[0x30, 8, 6, 1, 9, 0x30, 0, 0x80, 1, 7],
            ),
        ] {
            assert_eq!(to_der(ber).as_deref(), Some(der), "{ber:02x?}");
            assert_eq!(to_der(der).as_deref(), Some(der), "DER stays as it is");
        }
        for length in [0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1_0000] {
            let element = encode(OCTET_STRING, &[&vec![7; length]]);
            assert_eq!(to_der(&element), Some(element));
        }
    }

    #[test]
    fn truncated_malformed_or_too_deep_ber_is_refused() {
        let good = [0x30, 0x80, 0x24, 0x80, 4, 1, 7, 0, 0, 2, 1, 3, 0, 0];
        assert!(to_der(&good).is_some());
        for length in 0..good.len() {
            assert_eq!(to_der(&good[..length]), None, "{length}");
        }
        for bad in [
            &[4, 0x80, 0, 0][..], // a primitive one without length
            &[0x30, 0, 0],        // bytes behind it
            &[0x30, 2, 0, 0],     // an end where none belongs
            &[0x24, 3, 2, 1, 0],  // a string with a number in it
            &[0x3f, 0x81, 1, 0],  // a long tag
            &[4, 0xff, 1],        // a length of 127 bytes
            &[4, 0x88, 255, 255, 255, 255, 255, 255, 255, 255, 1], // more than there is
        ] {
            assert_eq!(to_der(bad), None, "{bad:02x?}");
        }
        let nested = |levels| [[0x30, 0x80].repeat(levels), vec![0; 2 * levels]].concat();
        assert!(to_der(&nested(DEEPEST + 1)).is_some());
        assert_eq!(to_der(&nested(DEEPEST + 2)), None);
        assert_eq!(to_der(&[0x30, 0x80].repeat(500_000)), None);
    }
}
