"""HPKE (RFC 9180) base mode, one suite: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-128-GCM.

The ephemeral key is an argument, so that the output is always the same. Never do that in production.
"""

import hashlib
import hmac
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

KEM_SUITE = b"KEM" + bytes.fromhex("0010")
HPKE_SUITE = b"HPKE" + bytes.fromhex("0010" "0001" "0001")
MODE_BASE = b"\x00"
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclass
class Context:
    """A sender's context, with all that led to it."""

    enc: bytes
    ephemeral_private: bytes
    shared_secret: bytes
    key: bytes
    base_nonce: bytes
    exporter_secret: bytes

    def seal(self, plain: bytes, aad: bytes = b"", sequence: int = 0) -> bytes:
        nonce = int.from_bytes(self.base_nonce) ^ sequence
        return AESGCM(self.key).encrypt(nonce.to_bytes(12), plain, aad)

    def export(self, exporter_context: bytes, length: int) -> bytes:
        return labeled_expand(HPKE_SUITE, self.exporter_secret, b"sec", exporter_context, length)


def setup_sender(receiver: ec.EllipticCurvePublicKey, info: bytes, ephemeral: int) -> Context:
    """SetupBaseS with a given ephemeral private key."""
    private = ec.derive_private_key(ephemeral, ec.SECP256R1())
    enc = point(private.public_key())
    dh = private.exchange(ec.ECDH(), receiver)
    shared_secret = extract_and_expand(dh, enc + point(receiver))
    return Context(enc, ephemeral.to_bytes(32), shared_secret, *key_schedule(shared_secret, info))


def extract_and_expand(dh: bytes, kem_context: bytes) -> bytes:
    eae_prk = labeled_extract(KEM_SUITE, b"", b"eae_prk", dh)
    return labeled_expand(KEM_SUITE, eae_prk, b"shared_secret", kem_context, 32)


def key_schedule(shared_secret: bytes, info: bytes) -> tuple[bytes, bytes, bytes]:
    """Key, base nonce, exporter secret."""
    psk_id_hash = labeled_extract(HPKE_SUITE, b"", b"psk_id_hash", b"")
    info_hash = labeled_extract(HPKE_SUITE, b"", b"info_hash", info)
    context = MODE_BASE + psk_id_hash + info_hash
    secret = labeled_extract(HPKE_SUITE, shared_secret, b"secret", b"")
    key = labeled_expand(HPKE_SUITE, secret, b"key", context, 16)
    base_nonce = labeled_expand(HPKE_SUITE, secret, b"base_nonce", context, 12)
    exporter_secret = labeled_expand(HPKE_SUITE, secret, b"exp", context, 32)
    return key, base_nonce, exporter_secret


def derive_key_pair(ikm: bytes) -> int:
    """DeriveKeyPair, only to check the RFC's key pairs."""
    prk = labeled_extract(KEM_SUITE, b"", b"dkp_prk", ikm)
    for counter in range(256):
        candidate = labeled_expand(KEM_SUITE, prk, b"candidate", bytes([counter]), 32)
        if 0 < int.from_bytes(candidate) < P256_ORDER:
            return int.from_bytes(candidate)
    raise ValueError("DeriveKeyPairError")


def labeled_extract(suite: bytes, salt: bytes, label: bytes, ikm: bytes) -> bytes:
    return extract(salt, b"HPKE-v1" + suite + label + ikm)


def labeled_expand(suite: bytes, prk: bytes, label: bytes, info: bytes, length: int) -> bytes:
    return expand(prk, length.to_bytes(2) + b"HPKE-v1" + suite + label + info, length)


def extract(salt: bytes, ikm: bytes) -> bytes:
    """HKDF-Extract with SHA-256; an empty salt counts as 32 zero bytes."""
    return hmac.digest(salt or bytes(32), ikm, hashlib.sha256)


def expand(prk: bytes, info: bytes, length: int) -> bytes:
    """HKDF-Expand with SHA-256, at most one block: all keys here are 32 bytes or less."""
    assert length <= 32
    return hmac.digest(prk, info + b"\x01", hashlib.sha256)[:length]


def point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
