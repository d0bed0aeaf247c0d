//! Reads PKCS#12: one key and its certificates. Fitness for a purpose and trust are checked elsewhere.

mod ber;
mod ciphers;
mod frame;

use p12_keystore::error::Error as Pkcs12Error;
use p12_keystore::{CertificateBag, Pkcs12Archive};
use x509_parser::asn1_rs::FromDer;
use x509_parser::prelude::X509Certificate;
use zeroize::Zeroizing;

use self::frame::MacFrame;
use crate::crypto::PrivateKey;

/// The largest file that is read, in bytes. A key and a chain of three take about 4 KiB.
pub const MAX_BUNDLE: usize = 1024 * 1024;

/// A private key, the certificate that belongs to it, and the other certificates of the file.
#[derive(Debug)]
pub struct Bundle {
    key: PrivateKey,
    certificate: Vec<u8>,
    authorities: Vec<Vec<u8>>,
}

/// Reasons why a PKCS#12 file cannot be used, each with a remedy.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BundleError {
    /// No PKCS#12 file, or a damaged one.
    #[error("not a PKCS#12 file, or a damaged one. Create a new one: openssl pkcs12 -export ...")]
    NotPkcs12,
    /// The file is empty.
    #[error("the file is empty. Copy the PKCS#12 file again")]
    Empty,
    /// Text, for example a PEM key or certificate.
    #[error(
        "this is a PEM file, not PKCS#12. Convert it: openssl pkcs12 -export -in CERTIFICATE.pem \
         -inkey KEY.pem -out NEW.pfx"
    )]
    Pem,
    /// A certificate in DER.
    #[error("this is a certificate without its key. Use the PKCS#12 file with both (.pfx or .p12)")]
    NoMoreThanACertificate,
    /// Nothing protects the file against changes.
    #[error("the file has no MAC, so changes to it cannot be detected. Export it without -nomac")]
    NoMac,
    /// The password does not fit the file.
    #[error("wrong password for this PKCS#12 file")]
    WrongPassword,
    /// There is no private key.
    #[error("the file contains no private key. Export it without -nokeys")]
    NoKey,
    /// There are several private keys.
    #[error("the file contains more than one private key. Export one key with its certificate")]
    SeveralKeys,
    /// No certificate belongs to the key.
    #[error("no certificate in the file belongs to its private key. Export both together")]
    NoCertificate,
    /// Encrypted, or protected by a MAC, in an unsupported way.
    #[error(
        "this PKCS#12 file has {what}, which is not supported. Convert it: openssl pkcs12 \
         -legacy -in OLD -nodes -out plain.pem; openssl pkcs12 -export -in plain.pem -out NEW; \
         shred -u plain.pem"
    )]
    NotRead {
        /// The name in openssl, or else the object identifier.
        what: String,
    },
    /// An unsupported kind of PKCS#12 file or key.
    #[error("cannot use this PKCS#12 file: {0}")]
    Unsupported(String),
    /// More than [`MAX_BUNDLE`] bytes.
    #[error("larger than 1 MiB. A PKCS#12 file with one key and its certificates is much smaller")]
    TooLarge,
}

impl Bundle {
    /// Opens `pfx` (BER or DER). An empty `password` opens files with an empty one and with none.
    ///
    /// The file must have a MAC, which is checked before anything is decrypted: a sender without the password
    /// can cause one key derivation, with at most 1,000,000 iterations (`p12-keystore`'s limit, about a
    /// second).
    pub fn open(pfx: &[u8], password: &str) -> Result<Self, BundleError> {
        if pfx.len() > MAX_BUNDLE {
            return Err(BundleError::TooLarge);
        }
        let frame = MacFrame::of(pfx).map_err(|error| Self::told_apart(pfx).unwrap_or(error))?;
        require_encodable(password)?;
        let Pkcs12Archive { keys, certs, .. } = decrypted(&frame, password)?;
        let [bag] = &keys[..] else {
            return Err(if keys.is_empty() {
                BundleError::NoKey
            } else {
                BundleError::SeveralKeys
            });
        };
        let key = PrivateKey::from_pkcs8(Zeroizing::new(bag.key.as_der().to_vec()));
        let hint = bag.local_key_id.as_ref().map(AsRef::as_ref);
        let leaf = certificate_of(&key, &certs, hint)?;
        let certificate = certs[leaf].cert.as_der().to_vec();
        let others = certs.iter().map(|bag| bag.cert.as_der()).filter(|der| *der != certificate);
        Ok(Self { key, authorities: others.map(<[u8]>::to_vec).collect(), certificate })
    }

    /// The other format of the file, if it is recognizable.
    fn told_apart(file: &[u8]) -> Option<BundleError> {
        if file.is_empty() {
            Some(BundleError::Empty)
        } else if file.trim_ascii_start().starts_with(b"-----BEGIN ") {
            Some(BundleError::Pem)
        } else {
            let certificate = X509Certificate::from_der(file).is_ok();
            certificate.then_some(BundleError::NoMoreThanACertificate)
        }
    }

    /// Whether this is a PKCS#12 file, as far as is visible without its password.
    pub(crate) fn looks_like(file: &[u8]) -> bool {
        MacFrame::of(file).is_ok()
    }

    /// The private key.
    pub fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// The certificate of the key, DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// All other certificates, DER, in the file's order.
    pub fn authorities(&self) -> &[Vec<u8>] {
        &self.authorities
    }
}

/// Checks the MAC, and decrypts. The MAC covers the content as its author encoded it, which may be BER. The
/// library reads DER only, so such a content is read in a second step, without MAC; so is a file without any
/// password.
fn decrypted(frame: &MacFrame, password: &str) -> Result<Pkcs12Archive, BundleError> {
    let error = match Pkcs12Archive::from_pkcs12(frame.der(), password) {
        Ok(archive) => return Ok(archive),
        Err(error) => error,
    };
    let is_without_password = match error {
        Pkcs12Error::MacError(_)
            if password.is_empty() && ciphers::has_mac_without_password(frame) =>
        {
            true
        }
        Pkcs12Error::MacError(_) => return Err(BundleError::WrongPassword),
        _ => false,
    };
    let Ok(written) = frame.content() else { return Err(explain(&error)) };
    let content = ber::to_der(written).ok_or_else(|| explain(&error))?;
    if let Some(what) = ciphers::not_read(frame, &content) {
        return Err(BundleError::NotRead { what });
    }
    let is_right = || -> Result<bool, BundleError> {
        // Of DER, a second reading would say the same as the first.
        let is_ber = content != written;
        Ok(is_ber && fails_for_its_mac(&frame.with_wrong_mac()?, password))
    };
    if !is_without_password && !is_right()? {
        return Err(explain(&error));
    }
    let archive = Pkcs12Archive::from_pkcs12(&frame.without_mac(&content)?, password);
    archive.map_err(|error| explain(&error))
}

/// Whether the library gets as far as comparing the MAC. If a copy with another MAC fails and the file itself
/// does not, the file's MAC is right.
fn fails_for_its_mac(pfx: &[u8], password: &str) -> bool {
    let opened = Pkcs12Archive::from_pkcs12(pfx, password);
    matches!(opened, Err(Pkcs12Error::MacError(_)))
}

/// PKCS#12 encodes passwords with 16 bits per character, and the library does not support surrogate pairs.
fn require_encodable(password: &str) -> Result<(), BundleError> {
    if password.chars().all(|character| u32::from(character) <= 0xffff) {
        return Ok(());
    }
    Err(BundleError::Unsupported(
        "its password contains characters above U+FFFF, such as emoji. Choose another password"
            .into(),
    ))
}

fn explain(error: &Pkcs12Error) -> BundleError {
    let unsupported = |what: &str| BundleError::Unsupported(what.into());
    match error {
        Pkcs12Error::MacError(_) => BundleError::WrongPassword,
        Pkcs12Error::UnsupportedEncryptionScheme | Pkcs12Error::UnsupportedMacAlgorithm => {
            unsupported("unknown encryption or MAC. Export it with the defaults of openssl")
        }
        Pkcs12Error::InvalidParameters => {
            unsupported("more than 1,000,000 iterations, or invalid parameters. Export it again")
        }
        // The MAC was right, so the password is right.
        Pkcs12Error::UnpadError | Pkcs12Error::Pkcs5Error(_) => {
            unsupported("encryption and MAC have different passwords. Export it with one password")
        }
        Pkcs12Error::UnsupportedContentType => {
            unsupported("it is protected by a public key. Export it with a password")
        }
        Pkcs12Error::UnsupportedCertificateType => unsupported("a certificate that is not X.509"),
        Pkcs12Error::X509Error(_) => unsupported("a damaged certificate. Export it again"),
        Pkcs12Error::InvalidPrivateKey => unsupported("a damaged private key. Export it again"),
        _ => BundleError::NotPkcs12,
    }
}

/// The index of the certificate for `key`. The public key decides; the key identifier in the file (`hint`)
/// may be anything, and only selects among several matches.
fn certificate_of(
    key: &PrivateKey,
    certificates: &[CertificateBag],
    hint: Option<&[u8]>,
) -> Result<usize, BundleError> {
    let public = key.public_key().ok_or_else(|| {
        BundleError::Unsupported(
            "its key is not P-256, P-384, Ed25519 or RSA from 2048 bits. Use such a key".into(),
        )
    })?;
    let certifies = |bag: &CertificateBag| {
        X509Certificate::from_der(bag.cert.as_der()).is_ok_and(|(_, certificate)| {
            *certificate.public_key().subject_public_key.data == public
        })
    };
    let fitting = || certificates.iter().enumerate().filter(|(_, bag)| certifies(bag));
    fitting()
        .find(|(_, bag)| hint.is_some() && bag.local_key_id.as_deref() == hint)
        .or_else(|| fitting().next())
        .map(|(place, _)| place)
        .ok_or(BundleError::NoCertificate)
}
