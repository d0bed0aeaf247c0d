//! Writing a message: the mirror of `message`.

use core::net::IpAddr;

use aws_lc_rs::signature::Signature;
use zeroize::Zeroizing;

use super::{
    ClaimedAddress, KnockRequest, MAX_SERVICES, MESSAGE_LENGTH, SECRET_LENGTH, SealError, VERSION,
    flag, kind,
};
use crate::Service;

/// All of a message but the addresses, the services, the certificate and the signature: version,
/// flags, stamp, secret, lifetime, and the lengths of the last two.
const FIXED: usize = 1 + 1 + 8 + SECRET_LENGTH + 2 + 2 + 1;

/// The part of a message that is signed. It holds the knock's secret.
pub(super) struct UnsignedMessage(Zeroizing<Vec<u8>>);

impl UnsignedMessage {
    /// Writes `wish`, whose services must be ascending and without overlap, for a key whose longest
    /// signature has `max_signature` bytes.
    pub(super) fn new(
        wish: &KnockRequest,
        secret: &[u8; SECRET_LENGTH],
        certificate: &[u8],
        max_signature: usize,
    ) -> Result<Self, SealError> {
        let addresses = write_addresses(wish);
        let services = write_services(&wish.services)?;
        let size = certificate.len();
        let limit = certificate_limit(addresses.len(), services.len(), max_signature);
        let length = u16::try_from(size).ok().filter(|_| size <= limit);
        let length = length.ok_or(SealError::CertificateTooLarge { size, limit })?;

        // never grows, so no copy of the secret stays behind
        let mut draft = Zeroizing::new(Vec::with_capacity(MESSAGE_LENGTH));
        draft.extend([VERSION, flags(wish)]);
        draft.extend(wish.stamp.as_millis().to_be_bytes());
        draft.extend(secret);
        draft.extend(wish.lifetime.map_or(0, u16::from).to_be_bytes());
        draft.extend(addresses);
        draft.extend(services);
        draft.extend(length.to_be_bytes());
        draft.extend(certificate);
        Ok(Self(draft))
    }

    /// What is to be signed.
    pub(super) fn unsigned(&self) -> &[u8] {
        &self.0
    }

    /// The whole message. `None` if the signature is longer than it was said to become.
    pub(super) fn finish(mut self, signature: &Signature) -> Option<Zeroizing<Vec<u8>>> {
        let signature = signature.as_ref();
        self.0.push(u8::try_from(signature.len()).ok()?);
        if self.0.len() + signature.len() > MESSAGE_LENGTH {
            return None;
        }
        self.0.extend(signature);
        self.0.resize(MESSAGE_LENGTH, 0);
        Some(self.0)
    }
}

/// Bytes that are left for the certificate: at least 824, as there are at most two addresses and
/// [`MAX_SERVICES`].
fn certificate_limit(addresses: usize, services: usize, signature: usize) -> usize {
    MESSAGE_LENGTH - FIXED - addresses - services - signature
}

fn flags(wish: &KnockRequest) -> u8 {
    let single_use = if wish.single_use { flag::SINGLE_USE } else { 0 };
    let answer = if wish.answer { flag::ANSWER } else { 0 };
    single_use | answer
}

fn write_addresses(wish: &KnockRequest) -> Vec<u8> {
    let mut out = vec![1 + u8::from(wish.second.is_some())];
    match wish.address {
        ClaimedAddress::Source => out.push(kind::SOURCE),
        ClaimedAddress::Ip(address) => write_address(&mut out, address),
    }
    if let Some(second) = wish.second {
        write_address(&mut out, second);
    }
    out
}

fn write_address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            out.push(kind::V4);
            out.extend(address.octets());
        }
        IpAddr::V6(address) => {
            out.push(kind::V6);
            out.extend(address.octets());
        }
    }
}

fn write_services(services: &[Service]) -> Result<Vec<u8>, SealError> {
    let count = u8::try_from(services.len()).ok().filter(|_| services.len() <= MAX_SERVICES);
    let mut out = vec![count.ok_or(SealError::TooManyServices)?];
    for service in services {
        out.push(service.transport() as u8);
        out.extend(service.first().to_be_bytes());
        out.extend(service.last().to_be_bytes());
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The figures that an authority can rely on.
    #[test]
    fn the_certificate_limits_are_those_of_the_protocol() {
        const P256: usize = 72;
        const P384: usize = 104;
        let (one, two) = (1 + 1, 1 + 2 * (1 + 16)); // count; kind, address
        let (none, sixteen) = (1, 1 + 16 * 5);
        assert_eq!(certificate_limit(one, none, P256), 969);
        assert_eq!(certificate_limit(two, sixteen, P256), 856);
        assert_eq!(certificate_limit(two, sixteen, P384), 824);
    }
}
