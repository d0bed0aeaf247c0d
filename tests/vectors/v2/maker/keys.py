"""Private keys from fixed seeds. They are public: never use one for anything but tests."""

import hashlib
from functools import cache
from math import gcd

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

CURVES = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}
ORDERS = {
    "p256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "p384": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
    "p521": 0x01FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFA << 256
    | 0x51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409,
}
PUBLIC_EXPONENT = 65537


def seeded(purpose: str, length: int) -> bytes:
    """`length` bytes that follow from `purpose` alone."""
    return hashlib.shake_256(b"sknock v2 vectors: " + purpose.encode()).digest(length)


def scalar(purpose: str, kind: str = "p256") -> int:
    """A private key on a curve."""
    return int.from_bytes(seeded(purpose, 80)) % (ORDERS[kind] - 1) + 1


@cache
def private(name: str, kind: str):
    """The private key called `name`, of kind p256, p384, p521, ed25519 or rsaBITS."""
    if kind in CURVES:
        return ec.derive_private_key(scalar(name, kind), CURVES[kind])
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.from_private_bytes(seeded(name, 32))
    return rsa_key(name, int(kind.removeprefix("rsa")))


def rsa_key(name: str, bits: int) -> rsa.RSAPrivateKey:
    p = prime(f"{name}, p", bits // 2)
    q = prime(f"{name}, q", bits // 2)
    d = pow(PUBLIC_EXPONENT, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(PUBLIC_EXPONENT, p * q)
    return rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public).private_key()


def prime(purpose: str, bits: int) -> int:
    """The first probable prime at or above a seeded number whose two highest bits are set."""
    candidate = int.from_bytes(seeded(purpose, bits // 8)) | 3 << bits - 2 | 1
    while not is_prime(candidate) or gcd(candidate - 1, PUBLIC_EXPONENT) != 1:
        candidate += 2
    return candidate


def is_prime(number: int) -> bool:
    """Trial division, then Miller-Rabin with fixed bases."""
    if any(number % small == 0 for small in small_primes()):
        return False
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    return all(passes(number, base, odd, twos) for base in small_primes()[:12])


def passes(number: int, base: int, odd: int, twos: int) -> bool:
    power = pow(base, odd, number)
    if power in (1, number - 1):
        return True
    for _ in range(twos - 1):
        power = power * power % number
        if power == number - 1:
            return True
    return False


@cache
def small_primes() -> list[int]:
    return [n for n in range(2, 2000) if all(n % d for d in range(2, int(n**0.5) + 1))]


def pkcs8(key) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def spki(key) -> bytes:
    """The SubjectPublicKeyInfo of a private or public key."""
    public = key.public_key() if hasattr(key, "public_key") else key
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
