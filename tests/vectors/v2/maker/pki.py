"""The cast: authorities, servers, clients and revocation lists, each with a name that the cases use."""

from dataclasses import replace

from cryptography.hazmat.primitives import hashes
from cryptography.x509 import DNSName, ObjectIdentifier, OtherName, ReasonFlags

from . import times
from .x509 import ANY_USAGE, CLIENT_AUTH, SERVER_AUTH, Entity, Spec, certify, certify_sized, other_name
from .x509 import revocation_list, uri

PRINCIPAL_NAME = OtherName(ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x05alice")
USUAL = (other_name("1.22,1.443,0.8000"), uri("sknock:udp/60000-60010"))
EVERYTHING = (uri("sknock:tcp/1-65535"), uri("sknock:udp/1-65535"))
P256_INFO = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")


def compressed(point: bytes) -> bytes:
    return bytes([2 | point[64] & 1]) + point[1:33]


def hybrid(point: bytes) -> bytes:
    return bytes([6 | point[64] & 1]) + point[1:]


def within_info(point: bytes) -> bytes:
    """The whole SubjectPublicKeyInfo, where the point belongs."""
    return P256_INFO + point


# ECParameters of P-256 (SEC 1, C.2): version 1, the field, a and b, the generator, the order, the cofactor
P256_PARAMETERS = bytes.fromhex(
    "3081e0020101302c06072a8648ce3d0101022100ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"
    "30440420ffffffff00000001000000000000000000000000fffffffffffffffffffffffc"
    "04205ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b"
    "0441046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
    "022100ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551020101"
)

AUTHORITY = Spec("", authority=True, not_before=times.AUTHORITY_FROM, not_after=times.AUTHORITY_UNTIL)
AUTHORITIES = [
    replace(AUTHORITY, name="ca", common_name="sKnock Vectors CA"),
    replace(AUTHORITY, name="ca-p384", kind="p384"),
    replace(AUTHORITY, name="ca-ed25519", kind="ed25519"),
    replace(AUTHORITY, name="ca-rsa2048", kind="rsa2048"),
    replace(AUTHORITY, name="ca-rsa4096", kind="rsa4096"),
    replace(AUTHORITY, name="ca-rsa1024", kind="rsa1024"),
    replace(AUTHORITY, name="ca-p521", kind="p521"),
    replace(AUTHORITY, name="ca-explicit", curve=P256_PARAMETERS),
    # the name of `ca`, but not its key
    replace(AUTHORITY, name="other-ca", common_name="sKnock Vectors CA"),
    replace(AUTHORITY, name="intermediate", issuer="ca"),
    replace(AUTHORITY, name="intermediate-expired", issuer="ca", not_after=times.NOW - times.SECOND),
    # what counts of an intermediate, and not of an anchor
    replace(
        AUTHORITY,
        name="ca-limited",
        not_after=times.NOW - times.SECOND,
        path_length=0,
        authority_usages=(SERVER_AUTH,),
        unknown_critical=True,
    ),
    replace(AUTHORITY, name="intermediate-of-limited", issuer="ca-limited"),
    replace(AUTHORITY, name="intermediate-path-0", issuer="ca", path_length=0),
    replace(AUTHORITY, name="intermediate-below-path-0", issuer="intermediate-path-0"),
    replace(
        AUTHORITY, name="intermediate-for-clients", issuer="ca", authority_usages=(SERVER_AUTH, CLIENT_AUTH)
    ),
    replace(AUTHORITY, name="intermediate-for-servers", issuer="ca", authority_usages=(SERVER_AUTH,)),
    replace(AUTHORITY, name="intermediate-for-any", issuer="ca", authority_usages=(ANY_USAGE,)),
    replace(AUTHORITY, name="intermediate-unknown-critical", issuer="ca", unknown_critical=True),
    # keyUsage of authorities
    replace(AUTHORITY, name="ca-without-key-usage", key_usage=None),
    replace(AUTHORITY, name="ca-signs-lists-only", key_usage=("crl_sign",)),
    replace(AUTHORITY, name="ca-signs-no-lists", key_usage=("key_cert_sign",)),
    replace(AUTHORITY, name="intermediate-signs-lists-only", issuer="ca", key_usage=("crl_sign",)),
]
SELF_ISSUED = {spec.name for spec in AUTHORITIES if spec.issuer == "ca" and "intermediate" not in spec.name}
# each has one client, `by-NAME`
NAMES = [spec.name for spec in AUTHORITIES]
WITH_A_CLIENT = NAMES[NAMES.index("ca-limited") :]

SERVERS = [
    Spec("server-a", usages=(SERVER_AUTH,), common_name="a.example"),
    # the same key in a later certificate: the same server to a client that has either
    Spec("server-a-renewed", usages=(SERVER_AUTH,), common_name="a.example", key="server-a"),
    Spec("server-b", usages=(SERVER_AUTH,), common_name="b.example"),
]

CLIENTS = [
    Spec("alice", allowed=USUAL),
    Spec("bob", kind="p384", allowed=USUAL),
    Spec("carol", kind="ed25519", allowed=USUAL),
    Spec("admin", allowed=EVERYTHING),
    Spec("by-intermediate", issuer="intermediate", allowed=USUAL),
    Spec("by-intermediate-expired", issuer="intermediate-expired", allowed=USUAL),
    Spec("by-ca-p384", issuer="ca-p384", allowed=USUAL),
    Spec("by-ca-ed25519", issuer="ca-ed25519", allowed=USUAL),
    Spec("by-ca-rsa2048", issuer="ca-rsa2048", allowed=USUAL),
    Spec("by-ca-rsa4096", issuer="ca-rsa4096", allowed=USUAL),
    Spec("by-ca-rsa1024", issuer="ca-rsa1024", allowed=USUAL),
    Spec("by-ca-rsa2048-by-pss", issuer="ca-rsa2048", pss_salt=32, allowed=USUAL),
    Spec("by-ca-rsa2048-by-pss-salt-16", issuer="ca-rsa2048", pss_salt=16, allowed=USUAL),
    Spec("by-ca-p521", issuer="ca-p521", allowed=USUAL),
    Spec("by-ca-explicit", issuer="ca-explicit", allowed=USUAL),
    Spec("by-other-ca", issuer="other-ca", allowed=USUAL),
    Spec("by-alice", issuer="alice", allowed=USUAL),
    Spec("by-nobody", issuer="", allowed=USUAL),
    # what may be opened
    Spec("other-name-only", allowed=(other_name("1.2000,0.8000"),)),
    Spec("uri-only", allowed=(uri("sknock:tcp/22"), uri("sknock:udp/60000-61000"))),
    Spec("two-lists", allowed=(other_name("1.22,1.23"), uri("sknock:tcp/24-30"), other_name("1.25,1.80"))),
    Spec("among-other-names", allowed=(PRINCIPAL_NAME, DNSName("alice.example"), other_name("1.22"))),
    Spec("malformed-items", allowed=(other_name("1.22,x,1.443"), uri("sknock:tcp/0"), uri("sknock:tcp/80"))),
    Spec("no-authorization"),
    Spec("only-foreign-names", allowed=(PRINCIPAL_NAME, DNSName("alice.example"), uri("https://tcp/22"))),
    # names, serials, times
    Spec("utf8-name", common_name="Zoë Ångström 🔑", allowed=USUAL),
    Spec("long-serial", serial=int.from_bytes(b"\x7f" + bytes(18) + b"\x01"), allowed=USUAL),
    Spec("high-serial", serial=0xF1A2B3C4D5E6F708, allowed=USUAL),
    Spec("first-second", not_before=times.NOW, allowed=USUAL),
    Spec("last-second", not_after=times.NOW, allowed=USUAL),
    Spec("ends-in-10-s", not_after=times.NOW + 10 * times.SECOND, allowed=USUAL),
    Spec("expired", not_after=times.NOW - times.SECOND, allowed=USUAL),
    Spec("not-yet-valid", not_before=times.NOW + times.SECOND, allowed=USUAL),
    # usages
    Spec("client-and-server", usages=(SERVER_AUTH, CLIENT_AUTH), allowed=USUAL),
    Spec("server-only", usages=(SERVER_AUTH,), allowed=USUAL),
    Spec("any-usage", usages=(ANY_USAGE,), allowed=USUAL),
    Spec("no-usage", usages=(), allowed=USUAL),
    # certificates that cannot be used
    Spec("p521", kind="p521", allowed=USUAL),
    Spec("rsa-client", kind="rsa2048", allowed=USUAL),
    Spec("unknown-critical", unknown_critical=True, allowed=USUAL),
    Spec("hybrid-point", form=hybrid, allowed=USUAL),
    Spec("explicit-parameters", curve=P256_PARAMETERS, allowed=USUAL),
    Spec("point-in-its-info", form=within_info, allowed=USUAL),
    # rare ones that can
    Spec("compressed-point", form=compressed, allowed=USUAL),
    Spec("signed-with-sha384", signed_with=hashes.SHA384(), allowed=USUAL),
    Spec("signed-with-sha512", signed_with=hashes.SHA512(), allowed=USUAL),
    # keyUsage
    Spec("without-key-usage", key_usage=None, allowed=USUAL),
    Spec("signs-and-agrees", key_usage=("digital_signature", "key_agreement"), allowed=USUAL),
    Spec("agrees-only", key_usage=("key_agreement",), allowed=USUAL),
    Spec("commits-only", key_usage=("content_commitment",), allowed=USUAL),
    # lists of ports
    Spec("tcp-apart", allowed=(other_name("1.22,1.443"),)),
    Spec("tcp-neighbours", allowed=(other_name("1.23,1.22"),)),
    Spec("loose-items", allowed=(other_name(" 1.22,1 . 443\n,01.080,+1.+81,\t0.\v53\f\r"),)),
    Spec("items-that-are-no-ports", allowed=(other_name("2.22,1,1.2.3,1.0,1.65536,1.-5,1.22"),)),
    Spec("malformed-number", allowed=(other_name("1.22,1.\u0664\u0664,1.443"),)),
    Spec("malformed-empty-item", allowed=(other_name("1.22,,1.443"),)),
    Spec("malformed-range", allowed=(other_name("1.22,1.23-25,1.443"),)),
]
CLIENTS += [Spec(f"by-{name}", issuer=name, allowed=USUAL) for name in WITH_A_CLIENT]

# name, kind of key, bytes: the largest that fit beside what the name says
SIZED = [
    ("largest-p256", "p256", 1001),
    ("largest-p256-full", "p256", 900),
    ("largest-p384", "p384", 969),
    ("largest-p384-full", "p384", 868),
    ("largest-ed25519", "ed25519", 1009),
    ("largest-ed25519-full", "ed25519", 908),
    ("past-the-client-limit", "p256", 1003),
]


def make() -> tuple[dict[str, Entity], dict[str, bytes]]:
    """All entities and all revocation lists, by name."""
    entities: dict[str, Entity] = {}
    for spec in AUTHORITIES + SERVERS + CLIENTS:
        issuer = None if spec.name in SELF_ISSUED else entities.get(spec.issuer)
        entities[spec.name] = certify(spec, issuer)
    for name, kind, size in SIZED:
        entities[name] = certify_sized(Spec(name, kind), entities["ca"], size)
    return entities, revocation_lists(entities)


def revocation_lists(entities: dict[str, Entity]) -> dict[str, bytes]:
    ca, intermediate = entities["ca"], entities["intermediate"]

    def serials(*names: str, reason=None) -> dict:
        return {entities[name].parsed.serial_number: reason for name in names}

    by_intermediate, alice = serials("by-intermediate"), serials("alice")
    past_grace = times.NOW - times.SECOND * (times.GRACE_S + 1)
    in_grace = times.NOW - times.SECOND * (times.GRACE_S - 1)
    return {
        "ca-empty": revocation_list(ca, 1, {}),
        "ca-others": revocation_list(ca, 2, serials("bob", "expired", "server-b")),
        "ca-alice": revocation_list(ca, 3, serials("alice", "bob", reason=ReasonFlags.key_compromise)),
        "ca-alice-held": revocation_list(ca, 4, serials("alice", reason=ReasonFlags.certificate_hold)),
        "ca-high-serial": revocation_list(ca, 5, serials("high-serial", "long-serial")),
        "ca-intermediate": revocation_list(ca, 6, serials("intermediate")),
        "ca-expired": revocation_list(ca, 7, serials("expired")),
        "ca-in-grace": revocation_list(ca, 8, {}, in_grace - times.DAY, in_grace),
        "ca-in-grace-alice": revocation_list(ca, 9, alice, in_grace - times.DAY, in_grace),
        "ca-past-grace": revocation_list(ca, 10, {}, past_grace - times.DAY, past_grace),
        "ca-past-grace-alice": revocation_list(ca, 11, alice, past_grace - times.DAY, past_grace),
        "ca-removed": revocation_list(ca, 12, serials("alice", reason=ReasonFlags.remove_from_crl)),
        "ca-signs-no-lists-empty": revocation_list(entities["ca-signs-no-lists"], 1, {}),
        "ca-without-key-usage-empty": revocation_list(entities["ca-without-key-usage"], 1, {}),
        "intermediate-empty": revocation_list(intermediate, 1, {}),
        "intermediate-leaf": revocation_list(intermediate, 2, by_intermediate),
        # alice's serial number, but another authority's
        "intermediate-serial-of-alice": revocation_list(intermediate, 3, alice),
    }
