//! A genuine knock of the original sKnock (protocol v1), and what it takes to say something else in
//! its place.

use std::sync::LazyLock;

use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use serde_json::Value;
use sknock_protocol::{Bundle, ServerKey, Timestamp};

use crate::hex;
use crate::pfx::PASSWORD;

/// The certificate of the authority.
pub const AUTHORITY: &[u8] = include_bytes!("../../tests/vectors/v1/pki/ca.cer");
const SERVER: &[u8] = include_bytes!("../../tests/vectors/v1/pki/server.pfx");
const CLIENT: &[u8] = include_bytes!("../../tests/vectors/v1/pki/client.pfx");
const DATAGRAM: &[u8] = include_bytes!("../../tests/vectors/v1/payloads/ok-v4-tcp2000.bin");
const VECTORS: &str = include_str!("../../tests/vectors/v1/vectors.json");

/// Where it comes from.
pub const SOURCE: &str = "192.0.2.10:40000";
/// Length of the signature's field.
const SIGNATURE: usize = 72;
const BLOCK: usize = 16;
/// Before the ciphertext.
const HEADER: usize = 4;
/// Behind it.
const POINT: usize = 65;

/// A knock that is granted.
pub struct Knock {
    /// All of it.
    pub datagram: &'static [u8],
    /// When it arrived.
    pub at: Timestamp,
    key: Vec<u8>,
    iv: [u8; BLOCK],
    signer: EcdsaKeyPair,
}

/// The first of the reference vectors: TCP port 2000, over IPv4.
pub static KNOCK: LazyLock<Knock> = LazyLock::new(|| {
    let file: Value = serde_json::from_str(VECTORS).expect("JSON");
    let vector = &file["vectors"][0];
    assert_eq!(vector["id"], "ok-v4-tcp2000");
    let client = Bundle::open(CLIENT, PASSWORD).expect("the client's key");
    let pkcs8 = client.key().pkcs8();
    let signer = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8).expect("P-256");
    let knock = Knock {
        datagram: DATAGRAM,
        at: Timestamp::from_secs(vector["server_now"].as_u64().expect("seconds")),
        key: hex(&vector["aes_key_hex"]),
        iv: hex(&vector["iv_hex"]).try_into().expect("16 bytes"),
        signer,
    };
    let plain = hex(&vector["plaintext_hex"]);
    assert_eq!(knock.encrypt(&padded(&plain)), DATAGRAM, "the layers are written rightly");
    knock
});

/// The server that it is for.
pub fn server_key() -> ServerKey {
    let bundle = Bundle::open(SERVER, PASSWORD).expect("the server's key");
    ServerKey::from_bundle(&bundle).expect("a pair")
}

impl Knock {
    /// A datagram with these whole blocks, rightly encrypted; what is no whole block is left out.
    pub fn encrypt(&self, blocks: &[u8]) -> Vec<u8> {
        let key = UnboundCipherKey::new(&AES_128, &self.key).expect("16 bytes");
        let context = EncryptionContext::Iv128(FixedLength::from(self.iv));
        let mut blocks = blocks[..blocks.len() / BLOCK * BLOCK].to_vec();
        let key = EncryptingKey::cbc(key).expect("it encrypts");
        key.less_safe_encrypt(&mut blocks, context).expect("whole blocks");
        let point = self.datagram.len() - POINT;
        [&self.datagram[..HEADER], &blocks, &self.datagram[point..]].concat()
    }

    /// A message with this beginning, rightly signed and padded.
    pub fn sign(&self, unsigned: &[u8]) -> Vec<u8> {
        let signature = self.signer.sign(&SystemRandom::new(), unsigned).expect("it signs");
        let signature = signature.as_ref();
        let length = u8::try_from(signature.len()).expect("72 at most");
        let gap = vec![0; SIGNATURE - signature.len()];
        padded(&[unsigned, &[length], &gap, signature].concat())
    }
}

/// PKCS#7.
pub fn padded(message: &[u8]) -> Vec<u8> {
    let padding = BLOCK - message.len() % BLOCK;
    let byte = u8::try_from(padding).expect("16 at most");
    [message, &vec![byte; padding]].concat()
}
