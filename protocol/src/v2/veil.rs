//! The outer layer: AES-128-GCM under a key that all holders of the server's certificate have.
//!
//! It is not secret from other clients. It limits the cost of junk from unauthenticated senders to one
//! AES-GCM decryption without public-key operation, and leaves nothing constant on the wire.

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use zeroize::Zeroizing;

use super::message::V2Message;
use super::tag::{Tag, TaggedDatagram};
use super::{DATAGRAM_LENGTH, FRAME_LENGTH, SEALED_LENGTH, signed_bytes};
use crate::crypto::{AeadKey, NONCE_LENGTH, TAG_LENGTH};
use crate::decrypted::{DecryptedKnock, Encapsulation, KnockSignature};
use crate::hpke::Opener;
use crate::refusal::Refusal;
use crate::trust::Usage;

const INFO: &[u8] = b"sknock v2 veil";

/// Encrypts and decrypts the veil of one server.
pub(crate) struct Veil(AeadKey);

/// The content under the veil: not yet decrypted, not verified.
#[derive(Debug)]
pub(crate) struct V2Frame {
    pub(crate) encapsulation: Encapsulation,
    /// HPKE's ciphertext; overwritten when dropped, because it is decrypted in place.
    pub(crate) sealed: Zeroizing<[u8; SEALED_LENGTH]>,
}

impl Veil {
    pub(crate) fn new(sid: &[u8; 32]) -> Result<Self, Unspecified> {
        AeadKey::derive(sid, b"", INFO).map(Self)
    }

    /// Encrypts a one-time key and a ciphertext under a fresh nonce that begins with `tag`.
    pub(crate) fn seal(
        &self,
        tag: Tag,
        encapsulation: &Encapsulation,
        sealed: &[u8; SEALED_LENGTH],
    ) -> Result<[u8; DATAGRAM_LENGTH], Unspecified> {
        let mut nonce = [0; NONCE_LENGTH];
        let (beginning, random) = nonce.split_at_mut(tag.len());
        beginning.copy_from_slice(&tag);
        rand::fill(random)?;
        let mut frame = [0; FRAME_LENGTH];
        let (head, tail) = frame.split_at_mut(encapsulation.len());
        head.copy_from_slice(encapsulation);
        tail.copy_from_slice(sealed);
        let tag = self.0.seal(nonce, b"", &mut frame)?;

        let mut datagram = [0; DATAGRAM_LENGTH];
        let (head, tail) = datagram.split_at_mut(NONCE_LENGTH);
        head.copy_from_slice(&nonce);
        let (head, tail) = tail.split_at_mut(FRAME_LENGTH);
        head.copy_from_slice(&frame);
        tail.copy_from_slice(&tag);
        Ok(datagram)
    }

    /// Finds the frame in a datagram, without allocation or public-key operation.
    pub(crate) fn unseal(&self, datagram: &TaggedDatagram<'_>) -> Result<V2Frame, Refusal> {
        let mut frame = [0; FRAME_LENGTH];
        self.open(datagram.bytes(), &mut frame).ok_or(Refusal::NotVeiled)?;
        V2Frame::read(&frame).ok_or(Refusal::NotVeiled)
    }

    fn open(&self, datagram: &[u8], frame: &mut [u8; FRAME_LENGTH]) -> Option<()> {
        let (nonce, covered) = datagram.split_first_chunk()?;
        let (ciphertext, tag) = covered.split_last_chunk::<TAG_LENGTH>()?;
        self.0.open_apart(*nonce, ciphertext, tag, frame).ok()
    }
}

impl V2Frame {
    fn read(frame: &[u8; FRAME_LENGTH]) -> Option<Self> {
        let (encapsulation, sealed) = frame.split_first_chunk()?;
        let sealed = sealed.try_into().ok()?;
        Some(Self { encapsulation: *encapsulation, sealed: Zeroizing::new(sealed) })
    }

    /// Decrypts and parses it.
    pub(crate) fn open(
        &mut self,
        key: &Opener,
        sid: &[u8; 32],
    ) -> Result<DecryptedKnock<'_>, Refusal> {
        let opened = key.open(&self.encapsulation, b"", self.sealed.as_mut());
        let (plain, exporter) = opened.map_err(|_| Refusal::NotForThisServer)?;
        let message = V2Message::read(plain)?;
        Ok(DecryptedKnock {
            exporter: message.request.answer.then_some(exporter),
            request: message.request,
            certificate: message.certificate,
            usage: Usage::ClientAuthentication,
            signed: signed_bytes(sid, &self.encapsulation, message.unsigned),
            signature: KnockSignature::OfKey(message.signature),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn veil() -> Veil {
        Veil::new(&[1; 32]).unwrap()
    }

    fn datagram() -> [u8; DATAGRAM_LENGTH] {
        veil().seal([7; 4], &[9; 65], &[8; SEALED_LENGTH]).unwrap()
    }

    fn unsealed(veil: &Veil, datagram: &[u8; DATAGRAM_LENGTH]) -> Result<V2Frame, Refusal> {
        veil.unseal(&TaggedDatagram::unchecked(datagram))
    }

    #[test]
    fn what_was_covered_is_found() {
        let frame = unsealed(&veil(), &datagram()).unwrap();
        assert_eq!(frame.encapsulation, [9; 65]);
        assert_eq!(*frame.sealed, [8; SEALED_LENGTH]);
    }

    #[test]
    fn two_knocks_with_one_tag_have_nothing_else_in_common() {
        let (one, other) = (datagram(), datagram());
        assert_eq!((&one[..4], &other[..4]), (&[7; 4][..], &[7; 4][..]));
        let same = one.iter().zip(&other).skip(4).filter(|(a, b)| a == b).count();
        assert!(same < 60, "{same} of 1196 bytes are the same"); // expected: 1196 / 256
    }

    #[test]
    fn any_altered_byte_and_any_other_server_is_refused() {
        let genuine = datagram();
        for at in 0..genuine.len() {
            let mut altered = genuine;
            altered[at] ^= 0x80;
            assert_eq!(unsealed(&veil(), &altered).unwrap_err(), Refusal::NotVeiled, "byte {at}");
        }
        let other = Veil::new(&[2; 32]).unwrap();
        assert_eq!(unsealed(&other, &genuine).unwrap_err(), Refusal::NotVeiled);
    }
}
