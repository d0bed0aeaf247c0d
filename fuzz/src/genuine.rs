//! Three genuine knocks of the reference vectors, one for each kind of client key, and everything
//! that it takes to say something else in their place: the server believes whatever is sealed here.

use std::sync::LazyLock;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
};
use serde_json::Value;
use sknock_protocol::{PrivateKey, ServerKey, Timestamp};
use zeroize::Zeroizing;

use crate::hex;

/// The certificate of the authority.
pub const AUTHORITY: &[u8] = include_bytes!("../../tests/vectors/v2/pki/ca.cer");
const SERVER: &[u8] = include_bytes!("../../tests/vectors/v2/pki/server-a.cer");
const KEYS: &str = include_str!("../../tests/vectors/v2/pki/keys.json");

/// Bytes of a message.
pub const MESSAGE: usize = 1091;
/// Bytes of a frame.
pub const FRAME: usize = 1172;

/// A knock that is granted.
pub struct Knock {
    /// All of it.
    pub datagram: Vec<u8>,
    /// What is under the veil.
    pub frame: Vec<u8>,
    /// What is in the envelope.
    pub message: Vec<u8>,
    /// The part of the message that is signed.
    pub unsigned: Vec<u8>,
    /// What the server calls it.
    pub id: [u8; 32],
    /// When it arrived.
    pub at: Timestamp,
    /// The client's certificate.
    pub certificate: &'static [u8],
    veil: LessSafeKey,
    nonce: [u8; 12],
    encapsulation: Vec<u8>,
    envelope: LessSafeKey,
    base_nonce: [u8; 12],
    /// All that is signed before the message.
    preamble: Vec<u8>,
    signer: Signer,
}

enum Signer {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// Alice (P-256), Bob (P-384) and Carol (Ed25519).
pub static KNOCKS: LazyLock<[Knock; 3]> = LazyLock::new(|| {
    [
        Knock::of(
            include_str!("../../tests/vectors/v2/good/p256-client.json"),
            include_bytes!("../../tests/vectors/v2/pki/alice.cer"),
        ),
        Knock::of(
            include_str!("../../tests/vectors/v2/good/p384-client.json"),
            include_bytes!("../../tests/vectors/v2/pki/bob.cer"),
        ),
        Knock::of(
            include_str!("../../tests/vectors/v2/good/ed25519-client.json"),
            include_bytes!("../../tests/vectors/v2/pki/carol.cer"),
        ),
    ]
});

/// The server that all of them are for.
pub fn server_key() -> ServerKey {
    let key = PrivateKey::from_pkcs8(Zeroizing::new(pkcs8("server-a")));
    ServerKey::new(&key, SERVER).expect("a pair")
}

/// Somebody's private key.
pub fn pkcs8(name: &str) -> Vec<u8> {
    let keys: Value = serde_json::from_str(KEYS).expect("JSON");
    hex(&keys[name])
}

impl Knock {
    fn of(vector: &str, certificate: &'static [u8]) -> Self {
        let vector: Value = serde_json::from_str(vector).expect("JSON");
        let values = &vector["values"];
        let (signed, mut message) = (hex(&values["signed"]), hex(&values["message"]));
        message.resize(MESSAGE, 0);
        let unsigned_at = 20 + 32 + 65; // "sknock v2 signature\0", sid, enc
        let mut knock = Self {
            datagram: hex(&vector["datagram"]),
            frame: Vec::new(),
            message,
            unsigned: signed[unsigned_at..].to_vec(),
            id: hex(&values["knock_id"]).try_into().expect("32 bytes"),
            at: Timestamp::from_millis(vector["received_at_ms"].as_u64().expect("a number")),
            certificate,
            veil: key(&values["veil_key"]),
            nonce: hex(&values["nonce"]).try_into().expect("12 bytes"),
            encapsulation: hex(&values["enc"]),
            envelope: key(&values["hpke_key"]),
            base_nonce: hex(&values["hpke_base_nonce"]).try_into().expect("12 bytes"),
            preamble: signed[..unsigned_at].to_vec(),
            signer: Signer::of(vector["client"].as_str().expect("a name")),
        };
        knock.frame = knock.enclose(&knock.message);
        assert_eq!(knock.cover(&knock.frame), knock.datagram, "the layers are written rightly");
        knock
    }

    /// A frame with this message, rightly encrypted.
    pub fn enclose(&self, message: &[u8]) -> Vec<u8> {
        [self.encapsulation.as_slice(), &seal(&self.envelope, self.base_nonce, message)].concat()
    }

    /// A datagram with this frame, rightly veiled.
    pub fn cover(&self, frame: &[u8]) -> Vec<u8> {
        [self.nonce.as_slice(), &seal(&self.veil, self.nonce, frame)].concat()
    }

    /// A message with this beginning, rightly signed; nothing if it is too long for one.
    pub fn sign(&self, unsigned: &[u8]) -> Option<Vec<u8>> {
        let signed = [self.preamble.as_slice(), unsigned].concat();
        let signature = self.signer.sign(&signed);
        let length = u8::try_from(signature.len()).expect("104 at most");
        let mut message = [unsigned, &[length], &signature].concat();
        if message.len() > MESSAGE {
            return None;
        }
        message.resize(MESSAGE, 0);
        Some(message)
    }
}

impl Signer {
    fn of(name: &str) -> Self {
        let pkcs8 = pkcs8(name);
        match name {
            "alice" => {
                Self::ecdsa(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8))
            }
            "bob" => Self::ecdsa(EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, &pkcs8)),
            _ => Self::Ed25519(Ed25519KeyPair::from_pkcs8(&pkcs8).expect("a key")),
        }
    }

    fn ecdsa<E: std::fmt::Debug>(pair: Result<EcdsaKeyPair, E>) -> Self {
        Self::Ecdsa(pair.expect("a key"))
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Ecdsa(pair) => {
                pair.sign(&SystemRandom::new(), message).expect("it signs").as_ref().to_vec()
            }
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}

fn seal(key: &LessSafeKey, nonce: [u8; 12], plain: &[u8]) -> Vec<u8> {
    let mut out = plain.to_vec();
    let nonce = Nonce::assume_unique_for_key(nonce);
    key.seal_in_place_append_tag(nonce, Aad::empty(), &mut out).expect("it seals");
    out
}

fn key(value: &Value) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &hex(value)).expect("16 bytes"))
}
