"""Certificates and revocation lists that come out the same every time: every field is given, every
signature is deterministic."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from . import keys, pss, times

CLIENT_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH
SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH
ANY_USAGE = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
OTHER_NAME = x509.ObjectIdentifier("1.3.6.1.4.1.19518")
UNKNOWN_EXTENSION = x509.ObjectIdentifier("1.3.6.1.4.1.99999.1")


@dataclass(frozen=True)
class Spec:
    """What a certificate says. `allowed` is its subject alternative names, in order."""

    name: str
    kind: str = "p256"
    issuer: str = "ca"
    common_name: str | None = None
    serial: int | None = None
    not_before: datetime = times.LEAF_FROM
    not_after: datetime = times.LEAF_UNTIL
    usages: tuple = (CLIENT_AUTH,)
    allowed: tuple = ()
    authority: bool = False
    path_length: int | None = None  # of an authority
    authority_usages: tuple = ()
    key_usage: tuple | None = ()  # empty: the usual ones; None: without the extension
    unknown_critical: bool = False
    key: str | None = None  # the key of another entity
    signed_with: hashes.HashAlgorithm | None = None  # instead of the usual hash
    form: Callable[[bytes], bytes] | None = None  # changes the content of the key's bit string
    curve: bytes | None = None  # explicit parameters, instead of the name of the curve P-256
    pss_salt: int | None = None  # signed by RSASSA-PSS with a salt of this length, in bytes


@dataclass
class Entity:
    """A certificate and its private key."""

    spec: Spec
    key: object
    der: bytes
    parsed: x509.Certificate = field(repr=False)

    @property
    def serial(self) -> bytes:
        number = self.parsed.serial_number
        return number.to_bytes((number.bit_length() + 7) // 8)

    @property
    def issuer_hash(self) -> bytes:
        return hashlib.sha256(self.parsed.issuer.public_bytes()).digest()


def certify(spec: Spec, issuer: Entity | None) -> Entity:
    """Issues a certificate; without an issuer it signs itself."""
    key = keys.private(spec.key or spec.name, spec.kind)
    signer = issuer.key if issuer else key
    subject = distinguished_name(spec.common_name or spec.name)
    builder = x509.CertificateBuilder(
        issuer_name=issuer.parsed.subject if issuer else subject,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=spec.serial or default_serial(spec.name),
        not_valid_before=spec.not_before.replace(tzinfo=None),
        not_valid_after=spec.not_after.replace(tzinfo=None),
    )
    for extension, critical in extensions(spec, signer):
        builder = builder.add_extension(extension, critical)
    parsed = sign(builder, signer, spec.signed_with)
    if spec.form:
        parsed = with_form(parsed, key, spec.form, signer)
    if spec.curve:
        parsed = with_curve(parsed, key, spec.curve, signer)
    if spec.pss_salt is not None:
        parsed = with_pss(parsed, spec, signer)
    return Entity(spec, key, parsed.public_bytes(Encoding.DER), parsed)


def with_form(parsed: x509.Certificate, key, form: Callable[[bytes], bytes], signer) -> x509.Certificate:
    """The same certificate with its key's bit string in another form, signed by a P-256 key."""
    info = keys.spki(key)
    return with_info(parsed, info, sequence(info[2:23] + der(0x03, b"\0" + form(info[26:]))), signer)


def with_curve(parsed: x509.Certificate, key, curve: bytes, signer) -> x509.Certificate:
    """The same certificate, where the key has the parameters of its curve, signed by a P-256 key."""
    info = keys.spki(key)
    id_ec_public_key = info[4:13]
    return with_info(parsed, info, sequence(sequence(id_ec_public_key + curve) + info[23:]), signer)


def with_info(parsed: x509.Certificate, info: bytes, other: bytes, signer) -> x509.Certificate:
    tbs = content_of(parsed)
    assert tbs.count(info) == 1
    tbs = sequence(tbs.replace(info, other))
    algorithm = sequence(bytes.fromhex("06082a8648ce3d040302"))
    signature = signer.sign(tbs, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    return x509.load_der_x509_certificate(sequence(tbs + algorithm + der(0x03, b"\0" + signature)))


def with_pss(parsed: x509.Certificate, spec: Spec, signer) -> x509.Certificate:
    """The same certificate, signed by RSASSA-PSS."""
    algorithm = pss.algorithm(spec.pss_salt)
    usual = sequence(bytes.fromhex("06092a864886f70d01010b0500"))  # sha256WithRSAEncryption
    tbs = content_of(parsed)
    assert tbs.count(usual) == 1
    tbs = sequence(tbs.replace(usual, algorithm))
    signature = pss.sign(signer, tbs, pss.salt(spec.name, spec.pss_salt))
    return x509.load_der_x509_certificate(sequence(tbs + algorithm + der(0x03, b"\0" + signature)))


def content_of(parsed: x509.Certificate) -> bytes:
    """Of the signed part, without its own tag and length."""
    tbs = parsed.tbs_certificate_bytes
    assert tbs[1] == 0x82
    return tbs[4:]


def certify_sized(spec: Spec, issuer: Entity, size: int) -> Entity:
    """A certificate of exactly `size` bytes, filled with many allowed ports.

    The length of an ECDSA signature varies, so it takes a few serials."""
    length = size // 2
    for attempt in range(256):
        allowed = (other_name(port_list(length)),)
        serial = default_serial(spec.name) + attempt
        entity = certify(replace(spec, allowed=allowed, serial=serial), issuer)
        if len(entity.der) == size:
            return entity
        length += size - len(entity.der)
    raise ValueError(f"no certificate of {size} bytes")


def revocation_list(issuer: Entity, number: int, revoked: dict, last=None, until=None) -> bytes:
    """A complete CRL; `revoked` maps serial numbers to reasons (or None)."""
    last, until = last or times.NOW - times.DAY, until or times.NOW + 6 * times.DAY
    builder = x509.CertificateRevocationListBuilder(
        issuer_name=issuer.parsed.subject,
        last_update=last.replace(tzinfo=None),
        next_update=until.replace(tzinfo=None),
    )
    for serial, reason in sorted(revoked.items()):
        entry = x509.RevokedCertificateBuilder(serial, last.replace(tzinfo=None))
        if reason:
            entry = entry.add_extension(x509.CRLReason(reason), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    key_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
    builder = builder.add_extension(key_id, critical=False)
    builder = builder.add_extension(x509.CRLNumber(number), critical=False)
    return sign(builder, issuer.key).public_bytes(Encoding.DER)


def extensions(spec: Spec, signer) -> list:
    public = keys.private(spec.key or spec.name, spec.kind).public_key()
    issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    listed = []
    if spec.authority:
        listed.append((x509.BasicConstraints(ca=True, path_length=spec.path_length), True))
        listed.append((x509.SubjectKeyIdentifier.from_public_key(public), False))
    if spec.key_usage is not None:
        listed.append((key_usage(spec.key_usage or usual(spec.authority)), True))
    listed.append((issuer_id, False))
    usages = spec.authority_usages if spec.authority else spec.usages
    if usages:
        listed.append((x509.ExtendedKeyUsage(usages), False))
    if spec.allowed:
        listed.append((x509.SubjectAlternativeName(spec.allowed), False))
    if spec.unknown_critical:
        listed.append((x509.UnrecognizedExtension(UNKNOWN_EXTENSION, b"\x05\x00"), True))
    return listed


def usual(authority: bool) -> tuple:
    return ("key_cert_sign", "crl_sign") if authority else ("digital_signature",)


def key_usage(names: tuple) -> x509.KeyUsage:
    known = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: name in names for name in known})


def sign(builder, key, sha=None):
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return builder.sign(key, None)
    if isinstance(key, rsa.RSAPrivateKey):
        return builder.sign(key, hashes.SHA256())
    usual_of = {"secp384r1": hashes.SHA384(), "secp521r1": hashes.SHA512()}
    sha = sha or usual_of.get(key.curve.name, hashes.SHA256())
    return builder.sign(key, sha, ecdsa_deterministic=isinstance(key, ec.EllipticCurvePrivateKey))


def distinguished_name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def default_serial(name: str) -> int:
    """Eight bytes whose first is 01 to 7f."""
    return int.from_bytes(keys.seeded(f"{name}, serial", 8)) % (0x7F << 56) + (1 << 56)


def other_name(text: str) -> x509.OtherName:
    """otherName 1.3.6.1.4.1.19518 with a UTF8String: `1.2000,0.8000`, 1 is TCP and 0 is UDP."""
    raw = text.encode()
    return x509.OtherName(OTHER_NAME, der(0x0C, raw))


def uri(text: str) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(text)


def port_list(length: int) -> str:
    """A list of TCP ports of exactly `length` characters: items are 6 or 7 long, and a comma."""
    short = next(n for n in range(8) if (length + 1 - 7 * n) % 8 == 0)
    long = (length + 1 - 7 * short) // 8
    items = [f"1.{1000 + n}" for n in range(short)] + [f"1.{10000 + n}" for n in range(long)]
    return ",".join(items)


def sequence(content: bytes) -> bytes:
    return der(0x30, content)


def der(tag: int, content: bytes) -> bytes:
    return bytes([tag]) + der_length(len(content)) + content


def der_length(length: int) -> bytes:
    if length < 0x80:
        return bytes([length])
    raw = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes([0x80 | len(raw)]) + raw
