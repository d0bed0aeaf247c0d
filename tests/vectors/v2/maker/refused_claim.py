"""Refused for what is signed: the signature itself, and the addresses."""

from cryptography.hazmat.primitives import hashes

from . import knock
from .case import FROM_V6, V4, V6, Case, altered
from .knock import SOURCE, address, service


def bad_signature() -> list[Case]:
    return [
        Case("altered-p256", "One bit of r.", signature=altered(20)),
        Case("altered-p384", "One bit of r.", client="bob", signature=altered(20)),
        Case("altered-ed25519", "One bit.", client="carol", signature=altered(20)),
        Case("altered-stamp", "The stamp was altered after signing.", message=altered(9)),
        Case(
            "altered-service",
            "The port was altered after signing: 23 for 22.",
            message=lambda made: made[:15] + service("tcp/23") + made[20:],
        ),
        Case("altered-flags", "An answer was added after signing.", message=altered(1, 0x02)),
        Case("key-of-another-client", "Signed by somebody else.", signing_key="admin"),
        Case("key-of-another-kind", "An Ed25519 signature under a P-256 certificate.", signing_key="carol"),
        Case("p256-with-sha384", "The hash is not the key's.", signature_hash=hashes.SHA384()),
        Case("p384-with-sha256", "The hash is not the key's.", client="bob", signature_hash=hashes.SHA256()),
        Case("not-minimal-der", "r has one zero byte more than DER allows.", signature=padded_r),
        Case(
            "trailing-byte",
            "A byte behind the DER signature, within its length.",
            signature=lambda made: made + b"\0",
        ),
        Case("raw-r-and-s", "r and s as 64 bytes, not DER.", signature=raw),
        Case("zero-r-and-s", "r and s are zero.", signature=lambda made: bytes.fromhex("3006020100020100")),
        Case("one-byte", "A signature of one byte.", signature=lambda made: b"\x30"),
        Case("ed25519-cut-short", "63 bytes.", client="carol", signature=lambda made: made[:-1]),
        Case(
            "signed-for-another-server",
            "The signature names server B's sid: B sealed its client's knock anew for A.",
            signed_for="server-b",
        ),
        Case(
            "signed-with-another-encapsulation",
            "The signature names another one-time key: the message was sealed anew.",
            signed_enc=altered(64),
        ),
        Case(
            "order-before-address",
            "Also the address is another.",
            signature=altered(20),
            fields={"addresses": [address("192.0.2.1")]},
        ),
    ]


def padded_r(signature: bytes) -> bytes:
    length = signature[3]
    return bytes([0x30, signature[1] + 1, 0x02, length + 1, 0]) + signature[4:]


def raw(signature: bytes) -> bytes:
    r, s = knock.decode_dss_signature(signature)
    return r.to_bytes(32) + s.to_bytes(32)


def claim(*addresses: str | bytes) -> dict:
    return {"addresses": [address(one) if isinstance(one, str) else one for one in addresses]}


def mapped(v4: str) -> bytes:
    return b"\x06" + bytes(10) + b"\xff\xff" + address(v4)[1:]


def address_mismatch() -> list[Case]:
    return [
        Case("another-v4", "The signed address is not the source.", fields=claim("203.0.113.8")),
        Case(
            "another-v6", "The signed address is not the source.", fields=claim("2001:db8::8"), source=FROM_V6
        ),
        Case("another-family", "An IPv6 address, from an IPv4 source.", fields=claim(V6)),
        Case("mapped", "The source's own address, but v4-mapped in kind 6.", fields=claim(mapped(V4))),
        Case(
            "mapped-from-mapped",
            "The same, from a v4-mapped source.",
            fields=claim(mapped(V4)),
            source=f"[::ffff:{V4}]:40000",
        ),
        Case(
            "only-the-second-is-the-source",
            "The source is second, where the first belongs.",
            fields=claim(V6, V4),
            second_address=True,
        ),
        Case(
            "second-of-the-same-family",
            "Two IPv4 addresses.",
            fields=claim(V4, "203.0.113.8"),
            second_address=True,
        ),
        Case(
            "second-of-the-source-family",
            "The first is not signed; the second is of the source's family.",
            fields=claim(SOURCE, "203.0.113.8"),
            second_address=True,
        ),
    ]


def address_unsigned() -> list[Case]:
    return [
        Case("source", "Kind 0, which this server does not allow.", source_address=False),
        Case(
            "source-and-second",
            "Kind 0 first; a signed second does not help.",
            source_address=False,
            second_address=True,
            fields=claim(SOURCE, V6),
        ),
    ]


def second_address() -> list[Case]:
    return [
        Case("signed-first", "Second addresses are not allowed.", fields=claim(V4, V6)),
        Case("source-first", "Second addresses are not allowed.", fields=claim(SOURCE, V6)),
        Case("v4-second", "Second addresses are not allowed.", fields=claim(V6, V4), source=FROM_V6),
    ]


def address_unusable() -> list[Case]:
    v4 = {
        "unspecified": "0.0.0.0",
        "loopback": "127.0.0.1",
        "multicast": "224.0.0.1",
        "broadcast": "255.255.255.255",
        "link-local": "169.254.1.1",
    }
    v6 = {"unspecified": "::", "loopback": "::1", "multicast": "ff02::1", "link-local": "fe80::1"}
    cases = []
    for kind, one in v4.items():
        cases.append(
            Case(
                f"v4-{kind}",
                f"A signed {kind} address that is also the source.",
                fields=claim(one),
                source=f"{one}:40000",
            )
        )
        cases.append(
            Case(
                f"second-v4-{kind}",
                f"A {kind} address as second.",
                fields=claim(V6, one),
                source=FROM_V6,
                second_address=True,
            )
        )
    for kind, one in v6.items():
        cases.append(
            Case(
                f"v6-{kind}",
                f"A signed {kind} address that is also the source.",
                fields=claim(one),
                source=f"[{one}]:40000",
            )
        )
        cases.append(
            Case(
                f"second-v6-{kind}",
                f"A {kind} address as second.",
                fields=claim(V4, one),
                second_address=True,
            )
        )
    return cases + [
        Case(
            "second-v4-mapped",
            "A v4-mapped address as second.",
            fields=claim(V4, mapped("203.0.113.8")),
            second_address=True,
        ),
        Case("source-link-local", "Not signed, but from a link-local source.", source="[fe80::1]:40000"),
    ]
