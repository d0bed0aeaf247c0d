//! A datagram in the form of a v1 knock: length, header, point. Checked without decryption.

use aws_lc_rs::agreement::PrivateKey;
use zeroize::Zeroizing;

use super::message::V1Message;
use super::{
    BLOCK, HEADER, LONGEST_DATAGRAM, OVERHEAD, PROTOCOL, SHORTEST_DATAGRAM, V1Rules, VERSION,
};
use super::{cipher, headers};
use crate::crypto::UNCOMPRESSED;
use crate::decrypted::{Datagram, DecryptedKnock, Encapsulation};
use crate::refusal::Refusal;
use crate::trust::Usage;

/// Ciphertext and one-time key of a knock.
#[derive(Debug)]
pub(crate) struct V1Frame {
    point: Encapsulation,
    /// A multiple of [`BLOCK`]; overwritten when dropped, because it is decrypted in place.
    blocks: Zeroizing<Vec<u8>>,
    is_ipv4: bool,
    usage: Usage,
}

impl V1Frame {
    /// Sorts out what cannot be a knock. Costs one small copy and no cryptography.
    ///
    /// The header is covered by nothing, so it proves nothing. As in the original, versions up to
    /// ours are taken: 0.0.1 is what it called itself until 2017, although those packets do not
    /// decrypt.
    pub(crate) fn read(datagram: Datagram<'_>, rules: V1Rules) -> Result<Self, Refusal> {
        let (payload, is_ipv4) = (datagram.payload(), datagram.source().is_ipv4());
        let whole_frame = payload.len() + headers(is_ipv4);
        if !has_a_length(payload.len()) || whole_frame < usize::from(rules.shortest_frame) {
            return Err(Refusal::WrongLength);
        }
        let usage = if rules.any_usage { Usage::Any } else { Usage::ClientAuthentication };
        let (header, rest) = payload.split_first_chunk::<HEADER>().ok_or(Refusal::WrongLength)?;
        let (blocks, point) = rest.split_last_chunk().ok_or(Refusal::WrongLength)?;
        let [protocol, version @ ..] = *header;
        // Arrays compare byte by byte: as (major, minor, patch).
        if protocol != PROTOCOL || version > VERSION || !point.starts_with(&[UNCOMPRESSED]) {
            return Err(Refusal::NotVeiled);
        }
        let blocks = Zeroizing::new(blocks.to_vec());
        Ok(Self { point: *point, blocks, is_ipv4, usage })
    }

    /// The client's one-time public key.
    pub(crate) fn point(&self) -> &Encapsulation {
        &self.point
    }

    /// All input of the message: the IP version of the datagram decides how its address is read.
    pub(crate) fn content(&self) -> (&Encapsulation, &[u8], bool) {
        (&self.point, &self.blocks, self.is_ipv4)
    }

    /// Decrypts it and takes it apart.
    pub(crate) fn open(&mut self, key: &PrivateKey) -> Result<DecryptedKnock<'_>, Refusal> {
        let decrypted = cipher::decrypt(key, &self.point, &mut self.blocks);
        decrypted.map_err(|_| Refusal::NotForThisServer)?;
        Ok(V1Message::read(&self.blocks, self.is_ipv4)?.into_decrypted(self.usage))
    }
}

fn has_a_length(length: usize) -> bool {
    (SHORTEST_DATAGRAM..=LONGEST_DATAGRAM).contains(&length)
        && length.checked_sub(OVERHEAD).is_some_and(|blocks| blocks.is_multiple_of(BLOCK))
}

#[cfg(test)]
mod tests {
    use core::net::SocketAddr;

    use super::*;
    use crate::v2;

    const V4: &str = "192.0.2.10:4000";
    const V6: &str = "[2001:db8::10]:4000";
    const RULES: V1Rules = V1Rules { shortest_frame: 800, any_usage: false };

    fn datagram(length: usize) -> Vec<u8> {
        let mut bytes = vec![7; length];
        bytes[..4].copy_from_slice(b"a\x01\x00\x00");
        bytes[length - 65] = 4;
        bytes
    }

    fn read(payload: &[u8], source: &str, rules: V1Rules) -> Result<(), Refusal> {
        let source: SocketAddr = source.parse().unwrap();
        V1Frame::read(Datagram::new(source, payload), rules).map(drop)
    }

    #[test]
    fn no_length_is_that_of_v2() {
        assert!(!has_a_length(v2::DATAGRAM_LENGTH));
        assert!(has_a_length(v2::DATAGRAM_LENGTH - 11));
    }

    #[test]
    fn the_least_length_is_that_of_the_whole_ethernet_frame() {
        let short = |length: u16, source, frame| {
            let rules = V1Rules { shortest_frame: frame, ..RULES };
            read(&datagram(length.into()), source, rules)
        };
        // 69 + 16 * 43 = 757 bytes: 799 as a frame of IPv4, 819 of IPv6
        assert_eq!(short(757, V4, 799), Ok(()));
        assert_eq!(short(757, V4, 800), Err(Refusal::WrongLength));
        assert_eq!(short(757, V6, 819), Ok(()));
        assert_eq!(short(757, V6, 820), Err(Refusal::WrongLength));
        assert_eq!(short(757, "[::ffff:192.0.2.10]:1", 800), Err(Refusal::WrongLength));
        assert!(V1Rules { shortest_frame: 819, ..RULES }.lengths().contains(&757));
        assert!(!V1Rules { shortest_frame: 820, ..RULES }.lengths().contains(&757));
    }

    #[test]
    fn lengths_are_whole_blocks_within_bounds() {
        let lax = V1Rules { shortest_frame: 0, ..RULES };
        let read = |length: usize| read(&datagram(length), V4, lax);
        for good in [SHORTEST_DATAGRAM, 325, 869, 1557, LONGEST_DATAGRAM] {
            assert_eq!(read(good), Ok(()), "{good}");
        }
        for bad in [69, 85, 309, 324, 326, 868, 870, 1200, 1558, 1573, 65507] {
            assert_eq!(read(bad), Err(Refusal::WrongLength), "{bad}");
        }
        assert_eq!(
            super::V1Frame::read(Datagram::new(V4.parse().unwrap(), &[]), lax).err(),
            Some(Refusal::WrongLength)
        );
    }

    #[test]
    fn versions_up_to_ours_pass() {
        let with = |header: &[u8; 4]| {
            let mut bytes = datagram(869);
            bytes[..4].copy_from_slice(header);
            read(&bytes, V4, RULES)
        };
        for good in [b"a\x01\x00\x00", b"a\x00\x00\x01", b"a\x00\xff\xff"] {
            assert_eq!(with(good), Ok(()), "{good:?}");
        }
        for bad in [b"a\x01\x00\x01", b"a\x01\x01\x00", b"a\x02\x00\x00", b"b\x01\x00\x00"] {
            assert_eq!(with(bad), Err(Refusal::NotVeiled), "{bad:?}");
        }
    }
}
