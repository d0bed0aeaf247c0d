//! The client's side: encodes a request as a datagram that an original server accepts.

use core::net::IpAddr;

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use aws_lc_rs::signature::Signature;

use super::{
    BLOCK, FIELDS, HEADER, KNOCK_PORTS, OVERHEAD, PROTOCOL, SHORTEST_FRAME, SIGNATURE, TRAILER,
    VERSION, cipher, headers,
};
use crate::identity::Identity;
use crate::server_certificate::ServerCertificate;
use crate::timestamp::Timestamp;
use crate::{Service, Transport};

/// The largest frame that a knock becomes: what every Ethernet carries whole, its header included.
/// The original does not put fragments together.
const LONGEST_FRAME: usize = 14 + 1500;

/// A client's request, as far as v1 can express it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct V1KnockRequest {
    /// The client's clock, up to 2106-02-07. Fractions of a second are cut off.
    pub stamp: Timestamp,
    /// What to open: a single port.
    pub service: Service,
    /// Where the client is, as the server will see it: in the family that the packet then has.
    pub address: IpAddr,
}

/// Reasons why a request cannot be sent, each with a remedy.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum V1SealError {
    /// The certificate does not fit.
    #[error(
        "the client certificate has {size} bytes, and a knock of protocol v1 has room for \
         {limit}. Request a certificate with shorter names or fewer extensions"
    )]
    CertificateTooLarge {
        /// Bytes of the certificate.
        size: usize,
        /// Bytes that fit into one packet.
        limit: usize,
    },
    /// The key cannot make signatures of this dialect.
    #[error(
        "protocol v1 supports only keys on P-256. Request a certificate for such a key, or \
             use v2"
    )]
    NotP256,
    /// A range of ports.
    #[error(
        "protocol v1 opens single ports, and {0} is a range. Knock once for each port, or \
             use v2"
    )]
    SeveralPorts(Service),
    /// A time that four bytes do not hold.
    #[error("protocol v1 ends in 2106. Set this clock, or use v2")]
    Stamp,
    /// The cryptographic library failed, which it only does without memory or randomness.
    #[error("the cryptographic library failed. Check whether memory is available")]
    Library,
}

impl From<Unspecified> for V1SealError {
    fn from(_: Unspecified) -> Self {
        Self::Library
    }
}

/// Makes the UDP payload of a knock with a new one-time key. Two knocks for the same port in the same second
/// still have the same knock id, so a server with a replay memory admits one of them.
///
/// Zeros after a small certificate make it as long as an original server requires ([`SHORTEST_FRAME`]). It
/// does not name the server: a server that decrypts it can forward it to another server of the same
/// authority.
pub fn seal(
    identity: &Identity,
    server: &ServerCertificate,
    request: &V1KnockRequest,
) -> Result<Vec<u8>, V1SealError> {
    if !identity.is_p256() {
        return Err(V1SealError::NotP256);
    }
    let draft = UnsignedV1Message::new(request, identity.certificate())?;
    let signature = identity.sign(&draft.0)?;
    let message = draft.finish(&signature).ok_or(V1SealError::Library)?;
    encrypt(server, message, &PrivateKey::generate(&ECDH_P256)?)
}

/// A random knock port, as the original's clients choose it: any of [`KNOCK_PORTS`].
pub fn draw_knock_port() -> Result<u16, V1SealError> {
    let mut random = [0; 8];
    rand::fill(&mut random)?;
    let (first, last) = (u64::from(*KNOCK_PORTS.start()), u64::from(*KNOCK_PORTS.end()));
    // 64 random bits for 50,001 ports: the remainder prefers none by more than 2^-48.
    let drawn = first + u64::from_be_bytes(random) % (last - first + 1);
    u16::try_from(drawn).map_err(|_| V1SealError::Library)
}

/// The part of a message that is signed.
struct UnsignedV1Message(Vec<u8>);

impl UnsignedV1Message {
    fn new(request: &V1KnockRequest, certificate: &[u8]) -> Result<Self, V1SealError> {
        if request.service.width() != 1 {
            return Err(V1SealError::SeveralPorts(request.service));
        }
        let seconds = u32::try_from(request.stamp.as_secs()).map_err(|_| V1SealError::Stamp)?;
        let address = request.address.to_canonical();
        let room = PaddingRoom::of(headers(address.is_ipv4()));
        let size = certificate.len();
        if size > room.most {
            return Err(V1SealError::CertificateTooLarge { size, limit: room.most });
        }
        // capacity for signature and padding: it is never reallocated
        let mut draft = Vec::with_capacity(FIELDS + room.most + TRAILER + BLOCK);
        draft.extend([0, u8::from(request.service.transport() == Transport::Tcp)]);
        draft.extend(request.service.first().to_be_bytes());
        draft.extend(octets(address));
        draft.extend(seconds.to_be_bytes());
        draft.extend(certificate);
        draft.resize(FIELDS + size.max(room.least), 0);
        Ok(Self(draft))
    }

    /// The whole message. `None` if the signature is longer than it can be.
    fn finish(mut self, signature: &Signature) -> Option<Vec<u8>> {
        let signature = signature.as_ref();
        let padding = SIGNATURE.checked_sub(signature.len())?;
        self.0.push(u8::try_from(signature.len()).ok()?);
        self.0.resize(self.0.len() + padding, 0);
        self.0.extend(signature);
        Some(self.0)
    }
}

/// Bytes between the fields and the trailer of a message.
struct PaddingRoom {
    /// That make the frame long enough for an original server.
    least: usize,
    /// That still fit into one packet.
    most: usize,
}

impl PaddingRoom {
    /// Behind `headers` of the network.
    fn of(headers: usize) -> Self {
        let ciphertext = |frame: usize| frame - headers - OVERHEAD;
        // at least one byte of the last block is padding, at most all of them
        let least = ciphertext(SHORTEST_FRAME.into()).next_multiple_of(BLOCK) - BLOCK;
        let most = ciphertext(LONGEST_FRAME) / BLOCK * BLOCK - 1;
        Self { least: least - FIELDS - TRAILER, most: most - FIELDS - TRAILER }
    }
}

/// IPv4 first and twelve zeros.
fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
        IpAddr::V6(address) => address.octets(),
    }
}

/// The datagram for a whole message, by this one-time key.
fn encrypt(
    server: &ServerCertificate,
    mut message: Vec<u8>,
    once: &PrivateKey,
) -> Result<Vec<u8>, V1SealError> {
    cipher::encrypt(once, &server.point, &mut message)?;
    let mut datagram = Vec::with_capacity(HEADER + message.len() + OVERHEAD);
    datagram.push(PROTOCOL);
    datagram.extend(VERSION);
    datagram.extend(message);
    datagram.extend(once.compute_public_key()?.as_ref());
    Ok(datagram)
}

#[cfg(test)]
mod tests;
