"""A knock of protocol v2: message, signature, HPKE, veil, id and answer. See docs/PROTOCOL.md.

Every step takes what an honest client would not do, too, so that the refused vectors can be made."""

import hashlib
from dataclasses import dataclass, field
from ipaddress import ip_address

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from . import hpke, keys, times
from .tag import NONCE

DATAGRAM, FRAME, MESSAGE, ANSWER = 1200, 1172, 1091, 96
SINGLE_USE, ANSWER_WANTED = 0x01, 0x02
TCP, UDP = 6, 17
SOURCE = b"\x00"
# P-521 is no client's key; the refused vectors need one all the same
HASHES = {"secp256r1": hashes.SHA256(), "secp384r1": hashes.SHA384(), "secp521r1": hashes.SHA512()}


def address(text: str) -> bytes:
    packed = ip_address(text).packed
    return bytes([4 if len(packed) == 4 else 6]) + packed


def service(text: str) -> bytes:
    """`tcp/22` or `udp/60000-60010`, as it stands in a message."""
    transport, ports = text.split("/")
    first, _, last = ports.partition("-")
    return raw_service({"tcp": TCP, "udp": UDP}[transport], int(first), int(last or first))


def raw_service(transport: int, first: int, last: int) -> bytes:
    return bytes([transport]) + first.to_bytes(2) + last.to_bytes(2)


@dataclass
class Fields:
    """A message before it is signed. `n_addr`, `n_serv` and `certificate_length` lie when given."""

    certificate: bytes
    stamp: int = times.NOW_MS
    version: int = 2
    flags: int = 0
    lifetime: int = 0
    addresses: list[bytes] = field(default_factory=lambda: [SOURCE])
    services: list[bytes] = field(default_factory=lambda: [service("tcp/22")])
    n_addr: int | None = None
    n_serv: int | None = None
    certificate_length: int | None = None

    def encode(self) -> bytes:
        """The message up to the signature's length byte."""
        count = len(self.addresses) if self.n_addr is None else self.n_addr
        wanted = len(self.services) if self.n_serv is None else self.n_serv
        length = len(self.certificate) if self.certificate_length is None else self.certificate_length
        return b"".join(
            [
                bytes([self.version, self.flags]),
                self.stamp.to_bytes(8),
                self.lifetime.to_bytes(2),
                bytes([count]) + b"".join(self.addresses),
                bytes([wanted]) + b"".join(self.services),
                length.to_bytes(2) + self.certificate,
            ]
        )


def sid(server) -> bytes:
    """Names a server: SHA-256 of its SubjectPublicKeyInfo."""
    return hashlib.sha256(keys.spki(server)).digest()


def signed_bytes(server_id: bytes, enc: bytes, head: bytes) -> bytes:
    return b"sknock v2 signature\0" + server_id + enc + head


def sign(key, message: bytes, sha=None) -> bytes:
    """The signature that the kind of key asks for; deterministic (RFC 6979, RFC 8032)."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(message, PKCS1v15(), hashes.SHA256())
    sha = sha or HASHES[key.curve.name]
    return key.sign(message, ec.ECDSA(sha, deterministic_signing=True))


def with_s(signature: bytes, order: int, high: bool) -> bytes:
    """The same ECDSA signature with its s in the upper or the lower half."""
    r, s = decode_dss_signature(signature)
    return encode_dss_signature(r, max(s, order - s) if high else min(s, order - s))


def pad(head: bytes, signature: bytes) -> bytes:
    message = head + bytes([len(signature)]) + signature
    assert len(message) <= MESSAGE, f"{len(message) - MESSAGE} bytes too many"
    return message.ljust(MESSAGE, b"\0")


def hpke_info(server_id: bytes) -> bytes:
    return b"sknock v2 knock" + server_id


def veil_key(server_id: bytes) -> bytes:
    return hpke.expand(hpke.extract(b"", server_id), b"sknock v2 veil", 16)


def veil(server_id: bytes, nonce: bytes, frame: bytes) -> bytes:
    assert len(nonce) == NONCE
    return nonce + AESGCM(veil_key(server_id)).encrypt(nonce, frame, b"")


def knock_id(signed: bytes) -> bytes:
    return hashlib.sha256(signed).digest()


def answer_key(context: hpke.Context, identifier: bytes) -> bytes:
    return context.export(b"sknock v2 answer" + identifier, 16)


def answer_plain(
    clipped: bool,
    seconds: int,
    server_ms: int,
    host: str,
    port: int,
    identifier: bytes,
    successor: bytes,
) -> bytes:
    observed = ip_address(host)
    plain = b"".join(
        [
            bytes([int(clipped), observed.version]),
            seconds.to_bytes(2),
            server_ms.to_bytes(8),
            observed.packed.ljust(16, b"\0"),
            port.to_bytes(2),
            identifier[:16],
            successor,
            bytes(6),
        ]
    )
    assert len(plain) == ANSWER - 12 - 16
    return plain


def seal_answer(key: bytes, nonce: bytes, plain: bytes) -> bytes:
    return nonce + AESGCM(key).encrypt(nonce, plain, b"")
