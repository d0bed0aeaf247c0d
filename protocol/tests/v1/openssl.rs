//! Our knocks, read by `openssl` alone from the wire to the signature.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::house::{House, Pair, wish, wish6};

/// DER of a P-256 `SubjectPublicKeyInfo` up to its point.
const SPKI: &str = "3059301306072a8648ce3d020106082a8648ce3d030107034200";

/// The salt, written down a second time: what it is made of.
const SONG: &str = "They livin' it up at the Hotel California\n\
                    What a nice surprise (what a nice surprise)\nBring your alibis";

/// Runs `openssl WORDS` in `folder`; it must succeed.
fn openssl(folder: &Path, words: &[&str]) -> Vec<u8> {
    let run = Command::new("openssl").args(words).current_dir(folder).output();
    let output = run.unwrap_or_else(|why| panic!("openssl: {why}; apt-get install openssl"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {words:?}: {errors}");
    output.stdout
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// HKDF-SHA256, 16 bytes, in hexadecimal digits.
fn derive(folder: &Path, secret: &[u8], info: &str) -> String {
    // the digits are the salt, so it is their digits that openssl wants
    let salt = format!("hexsalt:{}", hex(hex(SONG.as_bytes()).as_bytes()));
    let (key, info) = (format!("hexkey:{}", hex(secret)), format!("info:{info}"));
    let options = ["digest:SHA256", &key, &salt, &info];
    let mut words = vec!["kdf", "-binary", "-keylen", "16"];
    words.extend(options.iter().flat_map(|option| ["-kdfopt", option]));
    words.push("HKDF");
    hex(&openssl(folder, &words))
}

/// What is in a datagram for `server`.
fn decrypted(folder: &Path, server: &Pair, datagram: &[u8]) -> Vec<u8> {
    let (ciphertext, point) = datagram[4..].split_at(datagram.len() - 69);
    let write = |name: &str, content: &[u8]| fs::write(folder.join(name), content).unwrap();
    write("server.der", &server.key.serialize_der());
    write("point.der", &[&bytes(SPKI)[..], point].concat());
    write("ciphertext", ciphertext);
    let words = "pkeyutl -derive -inkey server.der -keyform DER -peerkey point.der -peerform DER";
    let secret = openssl(folder, &words.split(' ').collect::<Vec<_>>());
    let key = derive(folder, &secret, "knock");
    let iv = derive(folder, &secret, "iv0AES128CBC");
    openssl(folder, &["enc", "-d", "-aes-128-cbc", "-K", &key, "-iv", &iv, "-in", "ciphertext"])
}

fn verify(folder: &Path, certificate: &[u8], signed: &[u8], signature: &[u8]) {
    let write = |name: &str, content: &[u8]| fs::write(folder.join(name), content).unwrap();
    write("client.der", certificate);
    write("signed", signed);
    write("signature", signature);
    let words = "x509 -inform DER -in client.der -noout -pubkey -out client.pub";
    openssl(folder, &words.split(' ').collect::<Vec<_>>());
    let words = "dgst -sha256 -verify client.pub -signature signature signed";
    let said = openssl(folder, &words.split(' ').collect::<Vec<_>>());
    assert_eq!(String::from_utf8_lossy(&said).trim(), "Verified OK");
}

#[test]
fn openssl_reads_our_knocks() {
    let house = House::new();
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let addresses = ["c0000207000000000000000000000000", "20010db8000000000000000000000007"];
    for (wish, address) in [wish(), wish6()].into_iter().zip(addresses) {
        let datagram = house.seal(&wish);
        assert_eq!(datagram[..4], *b"a\x01\x00\x00");
        let message = decrypted(folder, &house.server, &datagram);

        // 0, TCP, port 22, the address, 1750000000
        assert_eq!(hex(&message[..24]), format!("00010016{address}684ee180"));
        let (signed, trailer) = message.split_at(message.len() - 73);
        let certificate = &house.client.certificate;
        let (ours, behind) = signed[24..].split_at(certificate.len());
        assert_eq!(ours, certificate);
        assert!(behind.iter().all(|byte| *byte == 0));
        let length = usize::from(trailer[0]);
        let (padding, signature) = trailer[1..].split_at(72 - length);
        assert!(padding.iter().all(|byte| *byte == 0));
        verify(folder, certificate, signed, signature);
    }
}
