//! The structure around the content of a PKCS#12 file (RFC 7292, 4), in DER: `PFX ::= SEQUENCE { version
//! INTEGER, authSafe ContentInfo, macData MacData OPTIONAL }`.

use super::{BundleError, ber};
use crate::der::{
    self, CONTEXT_0, DerElement, DerElements, INTEGER, NotDer, OBJECT_IDENTIFIER, OCTET_STRING,
    SEQUENCE,
};

/// A PKCS#12 file that has a MAC, in DER.
pub(super) struct MacFrame(Vec<u8>);

/// A MAC and its parameters.
pub(super) struct MacData<'a> {
    /// The object identifier's content.
    pub(super) algorithm: &'a [u8],
    pub(super) digest: &'a [u8],
    pub(super) salt: &'a [u8],
    iterations: Option<&'a [u8]>,
}

impl MacData<'_> {
    /// The iteration count; an error if it exceeds 31 bits.
    pub(super) fn iterations(&self) -> Result<i32, NotDer> {
        let number = der::without_leading_zeros(self.iterations.unwrap_or(&[1]));
        if number.len() > 4 {
            return Err(NotDer);
        }
        let number = number.iter().fold(0u32, |number, digit| number << 8 | u32::from(*digit));
        i32::try_from(number).map_err(|_| NotDer)
    }
}

impl MacFrame {
    /// Takes a file in BER or DER. It must have a MAC: the library would also read it without one.
    pub(super) fn of(pfx: &[u8]) -> Result<Self, BundleError> {
        let frame = Self(ber::to_der(pfx).ok_or(BundleError::NotPkcs12)?);
        let mut fields = fields(&frame.0)?;
        fields.one(INTEGER)?;
        fields.one(SEQUENCE)?;
        if fields.is_at_end() {
            return Err(BundleError::NoMac);
        }
        fields.one(SEQUENCE)?;
        fields.end()?;
        Ok(frame)
    }

    /// The whole file.
    pub(super) fn der(&self) -> &[u8] {
        &self.0
    }

    /// The content under the MAC: `AuthenticatedSafe`, as its author encoded it.
    pub(super) fn content(&self) -> Result<&[u8], NotDer> {
        self.parts().map(|(_, _, content)| content)
    }

    pub(super) fn mac_data(&self) -> Result<MacData<'_>, NotDer> {
        let (info, rest) = self.mac()?;
        let (mut info, mut rest) = (DerElements::new(info.content), DerElements::new(rest));
        let mut algorithm = DerElements::new(info.one(SEQUENCE)?.content);
        Ok(MacData {
            algorithm: algorithm.one(OBJECT_IDENTIFIER)?.content,
            digest: info.one(OCTET_STRING)?.content,
            salt: rest.one(OCTET_STRING)?.content,
            iterations: rest.optional(INTEGER)?.map(|number| number.content),
        })
    }

    /// A copy with one bit of the MAC inverted, so that it is wrong for every password.
    pub(super) fn with_wrong_mac(&self) -> Result<Vec<u8>, NotDer> {
        let (info, rest) = self.mac()?;
        let mut parts = DerElements::new(info.content);
        let algorithm = parts.one(SEQUENCE)?.whole;
        let mut digest = parts.one(OCTET_STRING)?.content.to_vec();
        *digest.last_mut().ok_or(NotDer)? ^= 1;
        let info = der::encode(SEQUENCE, &[algorithm, &der::encode(OCTET_STRING, &[&digest])]);
        let mac = der::encode(SEQUENCE, &[&info, rest]);
        let mut fields = fields(&self.0)?;
        let (version, safe) = (fields.one(INTEGER)?, fields.one(SEQUENCE)?);
        Ok(der::encode(SEQUENCE, &[version.whole, safe.whole, &mac]))
    }

    /// A copy with this content and without the MAC, for a content whose MAC has been checked.
    pub(super) fn without_mac(&self, content: &[u8]) -> Result<Vec<u8>, NotDer> {
        let (version, kind, _) = self.parts()?;
        let content = der::encode(OCTET_STRING, &[content]);
        let safe = der::encode(SEQUENCE, &[kind.whole, &der::encode(CONTEXT_0, &[&content])]);
        Ok(der::encode(SEQUENCE, &[version.whole, &safe]))
    }

    /// Version, kind of content, and content.
    fn parts(&self) -> Result<(DerElement<'_>, DerElement<'_>, &[u8]), NotDer> {
        let mut fields = fields(&self.0)?;
        let version = fields.one(INTEGER)?;
        let mut safe = DerElements::new(fields.one(SEQUENCE)?.content);
        let kind = safe.one(OBJECT_IDENTIFIER)?;
        let content = der::only(safe.one(CONTEXT_0)?.content, OCTET_STRING)?;
        Ok((version, kind, content))
    }

    /// `MacData ::= SEQUENCE { mac DigestInfo, macSalt OCTET STRING, iterations INTEGER DEFAULT 1 }`: the first,
    /// and the bytes of the rest.
    fn mac(&self) -> Result<(DerElement<'_>, &[u8]), NotDer> {
        let mut fields = fields(&self.0)?;
        fields.one(INTEGER)?;
        fields.one(SEQUENCE)?;
        let data = fields.one(SEQUENCE)?.content;
        let info = DerElements::new(data).one(SEQUENCE)?;
        Ok((info, data.get(info.whole.len()..).unwrap_or_default()))
    }
}

fn fields(pfx: &[u8]) -> Result<DerElements<'_>, NotDer> {
    der::only(pfx, SEQUENCE).map(DerElements::new)
}

/// Before decryption, every unexpected structure is reported as "not PKCS#12".
impl From<NotDer> for BundleError {
    fn from(_: NotDer) -> Self {
        Self::NotPkcs12
    }
}
