//! Signatures by keys of each kind.

use super::*;

fn verified(
    algorithm: &'static SignatureAlgorithm,
) -> (KeyPair, std::sync::Arc<VerifiedCertificate>) {
    let root = root("root");
    let key = KeyPair::generate_for(algorithm).unwrap();
    let certificate = client_params((2024, 2030)).signed_by(&key, &root).unwrap();
    (key, trust_store(&[&root]).verify_client(certificate.der(), CLIENT, NOW).unwrap())
}

#[test]
fn a_signature_is_of_this_key_over_this_message() {
    for algorithm in
        [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519]
    {
        let (key, verified) = verified(algorithm);
        let signature = key.sign(b"open").unwrap();
        assert_eq!(verified.verify_signature(b"open", &signature), Ok(()));
        let refused = Err(Refusal::BadSignature);
        assert_eq!(verified.verify_signature(b"shut", &signature), refused);
        assert_eq!(
            verified.verify_signature(b"open", &[signature.clone(), vec![0]].concat()),
            refused
        );
        for length in 0..signature.len() {
            assert_eq!(verified.verify_signature(b"open", &signature[..length]), refused);
        }
        let is_p256 = algorithm == &rcgen::PKCS_ECDSA_P256_SHA256;
        assert_eq!(verified.verify_p256(b"open", &signature).is_ok(), is_p256);
        let (_, other) = self::verified(algorithm);
        assert_eq!(other.verify_signature(b"open", &signature), refused);
    }
}

#[test]
fn an_ecdsa_signature_has_one_encoding() {
    let (key, verified) = verified(&rcgen::PKCS_ECDSA_P256_SHA256);
    let signature = key.sign(b"open").unwrap();
    let [SEQUENCE, length, integers @ ..] = &signature[..] else { panic!("not DER") };
    let long = [&[SEQUENCE, 0x81, *length], integers].concat();
    assert_eq!(verified.verify_signature(b"open", &long), Err(Refusal::BadSignature));
    let [tag, r, rest @ ..] = integers else { panic!("not DER") };
    let padded = [&[SEQUENCE, length + 1, *tag, r + 1, 0], rest].concat();
    assert_eq!(verified.verify_signature(b"open", &padded), Err(Refusal::BadSignature));
}

#[test]
fn a_key_of_another_kind_is_refused() {
    let root = root("root");
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap();
    let certificate = client_params((2024, 2030)).signed_by(&key, &root).unwrap();
    assert_eq!(refusal(&trust_store(&[&root]), certificate.der()), Refusal::BadCertificate);
}
