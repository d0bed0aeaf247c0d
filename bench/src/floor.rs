//! The cost of a knock's cryptography alone: the same calls of the same library, on inputs of the same
//! length, on one core: a lower bound for users of this library.

use std::hint::black_box;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use aws_lc_rs::rand::{self, SystemRandom};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, ParsedPublicKey,
};

use crate::series::Series;
use crate::stopwatch::Stopwatch;
use crate::table::{Table, number};

const RUNS: usize = 3000;
/// Different inputs, used in turn.
const INPUTS: usize = 64;
/// A frame under the veil, a message under HPKE, an answer: without their tags.
const FRAME: usize = 1172;
const MESSAGE: usize = 1091;
const ANSWER: usize = 68;
const TAG: usize = 16;
/// The signed bytes of a knock with one service and a certificate of about 460 bytes.
const SIGNED: usize = 608;

/// The minimum cost of one knock, in microseconds: medians.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Floor {
    /// Without an answer.
    pub(crate) knock: f64,
    /// With key derivation and encryption of an answer.
    pub(crate) answered: f64,
}

/// Measures each call, and all of them one after the other.
pub(crate) fn measure() -> (Floor, Table) {
    let work = Work::new();
    let columns = ["per knock", "median us", "p99 us", "min us"];
    let mut table = Table::new("Crypto floor: bare library calls, one thread", &columns);
    let mut line = |name: &str, call: &dyn Fn(usize)| {
        let series = timed(call);
        let cells = [series.median(), series.percentile(99), series.min()].map(number);
        table.row([name.to_owned()].into_iter().chain(cells));
        series.median()
    };
    line("AES-128-GCM open of the frame (veil)", &|_| work.lift());
    line("ECDH P-256, key held", &|run| work.agree(run));
    line("HKDF: 2 extract, 3 expand (HPKE)", &|_| schedule());
    line("AES-128-GCM key and open of the message", &|_| work.open());
    line("ECDSA P-256 verify, key parsed", &|run| work.verify(run));
    line("answer: HPKE export, nonce, AES-128-GCM key and seal", &|_| answer());
    let knock = line("all but the answer, in a row", &|run| work.knock(run));
    let answered = line("all of it, in a row", &|run| {
        work.knock(run);
        answer();
    });
    table.note(format!(
        "n = {RUNS} each; {INPUTS} different points and signatures in turn. SHA-256 of certificate and \
         knock, parsing and every check are not in it."
    ));
    (Floor { knock, answered }, table)
}

fn timed(call: &dyn Fn(usize)) -> Series {
    (0..RUNS / 10).for_each(call);
    let mut series = Series::default();
    for run in 0..RUNS {
        let watch = Stopwatch::start();
        call(run);
        series.push_time(watch.elapsed());
    }
    series
}

/// Keys and inputs of all calls.
pub(crate) struct Work {
    ecdh: PrivateKey,
    points: Vec<Vec<u8>>,
    veil: LessSafeKey,
    frame: Vec<u8>,
    message: Vec<u8>,
    signer: ParsedPublicKey,
    signed: Vec<u8>,
    signatures: Vec<Vec<u8>>,
}

const KEY: [u8; 16] = [7; 16];
const NONCE: [u8; 12] = [9; 12];

impl Work {
    pub(crate) fn new() -> Self {
        let random = SystemRandom::new();
        let fresh = || PrivateKey::generate(&ECDH_P256).expect("there is randomness");
        let points = (0..INPUTS)
            .map(|_| fresh().compute_public_key().expect("a fresh key has one").as_ref().to_vec());
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING);
        let pair = pair.expect("there is randomness");
        let signed = vec![0x5a; SIGNED];
        let signatures = (0..INPUTS)
            .map(|_| pair.sign(&random, &signed).expect("there is randomness").as_ref().to_vec());
        let public = pair.public_key().as_ref();
        Self {
            ecdh: fresh(),
            points: points.collect(),
            veil: key(&KEY),
            frame: sealed(FRAME),
            message: sealed(MESSAGE),
            signer: ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, public).expect("it is a key"),
            signatures: signatures.collect(),
            signed,
        }
    }

    fn lift(&self) {
        let (ciphertext, tag) = self.frame.split_at(FRAME);
        let mut plain = [0; FRAME];
        self.veil
            .open_separate_gather(nonce(), Aad::empty(), ciphertext, tag, &mut plain)
            .expect("we sealed it");
        black_box(plain);
    }

    fn agree(&self, run: usize) {
        let point = UnparsedPublicKey::new(&ECDH_P256, &self.points[run % INPUTS]);
        let shared = agree(&self.ecdh, point, "not a point", |secret| Ok(black_box(secret[0])));
        shared.expect("a point");
    }

    fn open(&self) {
        let mut bytes = [0; MESSAGE + TAG];
        bytes.copy_from_slice(&self.message);
        key(&KEY).open_in_place(nonce(), Aad::empty(), &mut bytes).expect("we sealed it");
        black_box(bytes);
    }

    fn verify(&self, run: usize) {
        let signature = &self.signatures[run % INPUTS];
        self.signer.verify_sig(&self.signed, signature).expect("we signed it");
    }

    /// All calls of a knock without an answer, on the `run`th inputs.
    pub(crate) fn knock(&self, run: usize) {
        self.lift();
        self.agree(run);
        schedule();
        self.open();
        self.verify(run);
    }
}

/// The inputs have the lengths of RFC 9180's labeled calls.
fn schedule() {
    let shared = extract(&[], &[0x11; 7 + 5 + 7 + 32]);
    let shared: [u8; 32] = expand(&shared, &[0x22; 2 + 7 + 5 + 13 + 130]);
    let secret = extract(&shared, &[0x33; 7 + 10 + 6]);
    let key: [u8; 16] = expand(&secret, &[0x44; 2 + 7 + 10 + 3 + 65]);
    let nonce: [u8; 12] = expand(&secret, &[0x55; 2 + 7 + 10 + 10 + 65]);
    black_box((key, nonce));
}

fn answer() {
    let secret = Prk::new_less_safe(HKDF_SHA256, &[0x66; 32]);
    let exporter: [u8; 32] = expand(&secret, &[0x77; 2 + 7 + 10 + 3 + 65]);
    let exporter = Prk::new_less_safe(HKDF_SHA256, &exporter);
    let bytes: [u8; 16] = expand(&exporter, &[0x88; 2 + 7 + 10 + 3 + 48]);
    rand::fill(black_box(&mut [0; 12])).expect("there is randomness");
    let mut plain = [0; ANSWER];
    let tag = key(&bytes).seal_in_place_separate_tag(nonce(), Aad::empty(), &mut plain);
    let _ = black_box((plain, tag.expect("it is short")));
}

fn key(bytes: &[u8; 16]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_128_GCM, bytes).expect("16 bytes"))
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key(NONCE)
}

fn sealed(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    key(&KEY).seal_in_place_append_tag(nonce(), Aad::empty(), &mut bytes).expect("it is short");
    bytes
}

fn extract(salt: &[u8], secret: &[u8]) -> Prk {
    Salt::new(HKDF_SHA256, salt).extract(secret)
}

fn expand<const N: usize>(prk: &Prk, info: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    let info = [info];
    let okm = prk.expand(&info, Length(N)).expect("a short key");
    okm.fill(&mut out).expect("the same length");
    out
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}
