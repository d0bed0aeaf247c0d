//! Protection of a PKCS#12 file: the ciphers, to report why a file cannot be read, and the MAC of a file
//! without any password. Nothing is decrypted here.

use aws_lc_rs::hmac;
use pkcs12::kdf::{Pkcs12KeyType, derive_key};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};
use x509_parser::asn1_rs::Oid;

use super::frame::{MacData, MacFrame};
use crate::der::{
    self, CONTEXT_0, DerElements, INTEGER, NotDer, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE,
};

/// The first unsupported algorithm of this file. `content` is its `AuthenticatedSafe`, in DER. Algorithms
/// inside of an encrypted part are not visible.
pub(super) fn not_read(frame: &MacFrame, content: &[u8]) -> Option<String> {
    let mac = frame.mac_data().map(|mac| name(mac.algorithm)).ok();
    let mac = mac.filter(|mac| !MACS.contains(&mac.as_str())).map(|mac| format!("a MAC by {mac}"));
    mac.or_else(|| {
        let ciphers = ciphers(content).unwrap_or_default();
        let unread = ciphers.into_iter().find(|cipher| !READ.contains(&cipher.as_str()));
        unread.map(|cipher| format!("encryption with {cipher}"))
    })
}

/// Every cipher of the file, by name.
fn ciphers(safe: &[u8]) -> Result<Vec<String>, NotDer> {
    let mut found = Vec::new();
    let mut parts = DerElements::new(der::only(safe, SEQUENCE)?);
    while !parts.is_at_end() {
        let mut part = DerElements::new(parts.one(SEQUENCE)?.content);
        let kind = name(part.one(OBJECT_IDENTIFIER)?.content);
        let content = part.one(CONTEXT_0)?.content;
        match kind.as_str() {
            "encryptedData" => found.extend(of_encrypted(content)?),
            "data" => found.extend(of_bags(der::only(content, OCTET_STRING)?)?),
            _ => {}
        }
    }
    Ok(found)
}

/// `EncryptedData ::= SEQUENCE { version INTEGER, SEQUENCE { kind, algorithm SEQUENCE, ... } }`
fn of_encrypted(content: &[u8]) -> Result<Vec<String>, NotDer> {
    let mut fields = DerElements::new(der::only(content, SEQUENCE)?);
    fields.one(INTEGER)?;
    let mut info = DerElements::new(fields.one(SEQUENCE)?.content);
    info.one(OBJECT_IDENTIFIER)?;
    of_algorithm(info.one(SEQUENCE)?.content)
}

/// `SafeBag ::= SEQUENCE { kind, value [0], attributes SET OPTIONAL }`: the algorithms of bags with an
/// encrypted key.
fn of_bags(bags: &[u8]) -> Result<Vec<String>, NotDer> {
    let mut found = Vec::new();
    let mut bags = DerElements::new(der::only(bags, SEQUENCE)?);
    while !bags.is_at_end() {
        let mut bag = DerElements::new(bags.one(SEQUENCE)?.content);
        let kind = name(bag.one(OBJECT_IDENTIFIER)?.content);
        let value = bag.one(CONTEXT_0)?.content;
        if kind == "pkcs8ShroudedKeyBag" {
            let mut key = DerElements::new(der::only(value, SEQUENCE)?);
            found.extend(of_algorithm(key.one(SEQUENCE)?.content)?);
        }
    }
    Ok(found)
}

/// The content of an `AlgorithmIdentifier`: for PBES2 (RFC 8018, A.4), the cipher and the key derivation.
fn of_algorithm(algorithm: &[u8]) -> Result<Vec<String>, NotDer> {
    let mut fields = DerElements::new(algorithm);
    let kind = name(fields.one(OBJECT_IDENTIFIER)?.content);
    if kind != "PBES2" {
        return Ok(vec![kind]);
    }
    let mut parameters = DerElements::new(fields.one(SEQUENCE)?.content);
    let mut derivation = DerElements::new(parameters.one(SEQUENCE)?.content);
    let mut cipher = DerElements::new(parameters.one(SEQUENCE)?.content);
    let mut found = vec![name(cipher.one(OBJECT_IDENTIFIER)?.content)];
    let kind = name(derivation.one(OBJECT_IDENTIFIER)?.content);
    if kind == "PBKDF2" {
        found.extend(hash(derivation.one(SEQUENCE)?.content)?);
    } else {
        found.push(kind);
    }
    Ok(found)
}

/// `PBKDF2-params ::= SEQUENCE { salt, iterations, keyLength OPTIONAL, prf DEFAULT hmacWithSHA1 }`
fn hash(parameters: &[u8]) -> Result<Option<String>, NotDer> {
    let mut fields = DerElements::new(parameters);
    fields.one(OCTET_STRING)?;
    fields.one(INTEGER)?;
    fields.optional(INTEGER)?;
    let prf = fields.optional(SEQUENCE)?;
    prf.map(|prf| DerElements::new(prf.content).one(OBJECT_IDENTIFIER).map(|oid| name(oid.content)))
        .transpose()
}

/// Algorithms that the library can decrypt.
const READ: &[&str] = &[
    "AES-128-CBC",
    "AES-192-CBC",
    "AES-256-CBC",
    "AES-128-GCM",
    "AES-256-GCM",
    "DES-EDE3-CBC",
    "PBE-SHA1-3DES",
    "PBE-SHA1-RC2-40",
    "hmacWithSHA1",
    "hmacWithSHA224",
    "hmacWithSHA256",
    "hmacWithSHA384",
    "hmacWithSHA512",
    "scrypt",
];

/// Hashes that the library supports for MACs.
const MACS: &[&str] = &["SHA1", "SHA224", "SHA256", "SHA384", "SHA512", "SHA512-224", "SHA512-256"];

/// The openssl name of an object identifier (its content), or else its numbers.
pub(super) fn name(oid: &[u8]) -> String {
    let numbers = Oid::new(oid.into()).to_string();
    let known = NAMES.iter().find(|(known, _)| *known == numbers);
    known.map_or(numbers, |(_, name)| (*name).into())
}

const NAMES: &[(&str, &str)] = &[
    ("1.2.840.113549.1.7.1", "data"),
    ("1.2.840.113549.1.7.6", "encryptedData"),
    ("1.2.840.113549.1.12.10.1.2", "pkcs8ShroudedKeyBag"),
    ("1.2.840.113549.1.12.1.1", "PBE-SHA1-RC4-128"),
    ("1.2.840.113549.1.12.1.2", "PBE-SHA1-RC4-40"),
    ("1.2.840.113549.1.12.1.3", "PBE-SHA1-3DES"),
    ("1.2.840.113549.1.12.1.4", "PBE-SHA1-2DES"),
    ("1.2.840.113549.1.12.1.5", "PBE-SHA1-RC2-128"),
    ("1.2.840.113549.1.12.1.6", "PBE-SHA1-RC2-40"),
    ("1.2.840.113549.1.5.3", "PBE-MD5-DES"),
    ("1.2.840.113549.1.5.10", "PBE-SHA1-DES"),
    ("1.2.840.113549.1.5.12", "PBKDF2"),
    ("1.2.840.113549.1.5.13", "PBES2"),
    ("1.2.840.113549.1.5.14", "PBMAC1"),
    ("1.3.6.1.4.1.11591.4.11", "scrypt"),
    ("2.16.840.1.101.3.4.1.2", "AES-128-CBC"),
    ("2.16.840.1.101.3.4.1.22", "AES-192-CBC"),
    ("2.16.840.1.101.3.4.1.42", "AES-256-CBC"),
    ("2.16.840.1.101.3.4.1.6", "AES-128-GCM"),
    ("2.16.840.1.101.3.4.1.46", "AES-256-GCM"),
    ("1.2.840.113549.3.7", "DES-EDE3-CBC"),
    ("1.2.840.113549.3.2", "RC2-CBC"),
    ("1.3.14.3.2.7", "DES-CBC"),
    ("1.2.392.200011.61.1.1.1.2", "CAMELLIA-128-CBC"),
    ("1.2.392.200011.61.1.1.1.3", "CAMELLIA-192-CBC"),
    ("1.2.392.200011.61.1.1.1.4", "CAMELLIA-256-CBC"),
    ("1.2.410.200004.1.4", "SEED-CBC"),
    ("1.2.156.10197.1.104.2", "SM4-CBC"),
    ("1.2.840.113549.2.5", "MD5"),
    ("1.3.14.3.2.26", "SHA1"),
    ("2.16.840.1.101.3.4.2.1", "SHA256"),
    ("2.16.840.1.101.3.4.2.2", "SHA384"),
    ("2.16.840.1.101.3.4.2.3", "SHA512"),
    ("2.16.840.1.101.3.4.2.4", "SHA224"),
    ("2.16.840.1.101.3.4.2.5", "SHA512-224"),
    ("2.16.840.1.101.3.4.2.6", "SHA512-256"),
    ("1.2.840.113549.2.7", "hmacWithSHA1"),
    ("1.2.840.113549.2.8", "hmacWithSHA224"),
    ("1.2.840.113549.2.9", "hmacWithSHA256"),
    ("1.2.840.113549.2.10", "hmacWithSHA384"),
    ("1.2.840.113549.2.11", "hmacWithSHA512"),
];

/// The library's own limit.
const MOST_ITERATIONS: i32 = 1_000_000;

/// Whether the file's MAC is right for no password at all, as `GnuTLS` makes it with `--null-password`. That
/// differs from an empty password (RFC 7292, B.1): the MAC's key is derived from zero bytes, not from the two
/// that terminate a text. The library only supports texts.
pub(super) fn has_mac_without_password(frame: &MacFrame) -> bool {
    has_right_mac(frame).unwrap_or(false)
}

fn has_right_mac(frame: &MacFrame) -> Result<bool, NotDer> {
    let mac = frame.mac_data()?;
    let rounds = mac.iterations()?;
    // Before the derivation: the file chooses the number.
    if !(1..=MOST_ITERATIONS).contains(&rounds) {
        return Ok(false);
    }
    let MacData { salt, digest, .. } = mac;
    let purpose = Pkcs12KeyType::Mac;
    let (algorithm, key) = match name(mac.algorithm).as_str() {
        "SHA1" => {
            let key = derive_key::<Sha1>(&[], salt, purpose, rounds, 20);
            (hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key)
        }
        "SHA256" => (hmac::HMAC_SHA256, derive_key::<Sha256>(&[], salt, purpose, rounds, 32)),
        "SHA384" => (hmac::HMAC_SHA384, derive_key::<Sha384>(&[], salt, purpose, rounds, 48)),
        "SHA512" => (hmac::HMAC_SHA512, derive_key::<Sha512>(&[], salt, purpose, rounds, 64)),
        _ => return Ok(false),
    };
    Ok(hmac::verify(&hmac::Key::new(algorithm, &key), frame.content()?, digest).is_ok())
}
