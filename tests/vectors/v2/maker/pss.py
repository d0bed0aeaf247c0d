"""RSASSA-PSS (RFC 8017, 8.1) with a salt that follows from a name: the library's is random, and the vectors must
come out the same every time. The library checks each signature."""

import hashlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from . import keys

LENGTH = 32  # of SHA-256
ALGORITHM = "06092a864886f70d01010a"  # id-RSASSA-PSS
SHA256 = "300d06096086480165030402010500"
MGF1 = "301a06092a864886f70d010108" + SHA256


def algorithm(salt_length: int) -> bytes:
    """The AlgorithmIdentifier with all parameters of PSS, SHA-256 throughout. Not for salts of 20 bytes: DER leaves
    the default out."""
    return bytes.fromhex(f"3041{ALGORITHM}3034a00f{SHA256}a11c{MGF1}a2030201{salt_length:02x}")


def sign(key, message: bytes, salt: bytes) -> bytes:
    numbers = key.private_numbers()
    size = key.key_size // 8
    encoded = int.from_bytes(encode(message, salt, key.key_size - 1))
    signature = pow(encoded, numbers.d, numbers.public_numbers.n).to_bytes(size)
    scheme = padding.PSS(padding.MGF1(hashes.SHA256()), len(salt))
    key.public_key().verify(signature, message, scheme, hashes.SHA256())
    return signature


def encode(message: bytes, salt: bytes, bits: int) -> bytes:
    """EMSA-PSS-ENCODE (9.1.1)."""
    length = (bits + 7) // 8
    digest = sha256(bytes(8) + sha256(message) + salt)
    block = bytes(length - len(salt) - LENGTH - 2) + b"\x01" + salt
    mask = generate_mask(digest, len(block))
    masked = bytearray(a ^ b for a, b in zip(block, mask, strict=True))
    masked[0] &= 0xFF >> (8 * length - bits)
    return bytes(masked) + digest + b"\xbc"


def generate_mask(seed: bytes, length: int) -> bytes:
    """MGF1 (B.2.1)."""
    blocks = (sha256(seed + counter.to_bytes(4)) for counter in range(-(-length // LENGTH)))
    return b"".join(blocks)[:length]


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def salt(name: str, length: int) -> bytes:
    return keys.seeded(f"{name}, salt of PSS", length)
