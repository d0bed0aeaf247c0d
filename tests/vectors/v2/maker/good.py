"""Knocks that must be believed."""

from . import keys, knock, tag, times
from .case import FROM_V4, FROM_V6, V4, V6, Case
from .knock import ANSWER_WANTED, SINGLE_USE, SOURCE, address, service
from .policy import LIBERAL, granted

SIXTEEN = [service(f"tcp/{1000 + 10 * n}-{1005 + 10 * n}") for n in range(8)]
SIXTEEN += [service(f"udp/{1000 + 10 * n}") for n in range(8)]
NONE = {"services": []}
FULL = {"addresses": [address(V4), address(V6)], "services": SIXTEEN}


def cases() -> list[Case]:
    knocks = who() + where() + what() + when() + tags() + forms() + sizes()
    return knocks + certificates() + revocation() + granted()


def who() -> list[Case]:
    return [
        Case("p256-client", "A client with a P-256 key asks for one service."),
        Case("p384-client", "A client with a P-384 key.", client="bob"),
        Case("ed25519-client", "A client with an Ed25519 key.", client="carol"),
        Case(
            "renewed-server-certificate",
            "The server has a later certificate for the same key, so its sid is the same.",
            server="server-a-renewed",
        ),
        Case("another-server", "A knock for another server, at that server.", server="server-b"),
    ]


def where() -> list[Case]:
    def signed(*addresses: str) -> dict:
        return {"addresses": [address(one) for one in addresses]}

    mapped = f"[::ffff:{V4}]:40000"
    both = {"second_address": True}
    return [
        Case("source-v4", "The packet's source, IPv4, not signed."),
        Case("source-v6", "The packet's source, IPv6, not signed.", source=FROM_V6),
        Case("source-v4-mapped", "A v4-mapped source is the IPv4 address.", source=mapped),
        Case("signed-v4", "The signed address is the source.", fields=signed(V4)),
        Case("signed-v6", "The signed address is the source.", fields=signed(V6), source=FROM_V6),
        Case("signed-v4-mapped", "Kind 4 equals a v4-mapped source.", fields=signed(V4), source=mapped),
        Case(
            "signed-though-sources-allowed-only-signed",
            "A signed address where unsigned ones are denied.",
            fields=signed(V4),
            source_address=False,
        ),
        Case("two-addresses-v4-first", "IPv4, and IPv6 as second.", fields=signed(V4, V6), **both),
        Case(
            "two-addresses-v6-first",
            "IPv6, and IPv4 as second.",
            fields=signed(V6, V4),
            source=FROM_V6,
            **both,
        ),
        Case(
            "two-addresses-source-first",
            "The source is not signed, the second address is.",
            fields={"addresses": [SOURCE, address(V6)]},
            **both,
        ),
        Case(
            "private-address",
            "RFC 1918 addresses are addresses.",
            source="10.1.2.3:1",
            fields=signed("10.1.2.3"),
        ),
        *loopback(),
    ]


def loopback() -> list[Case]:
    one = {"policy": LIBERAL, "grant": (["tcp/22"], 15, False)}
    return [
        Case("loopback-source", "A host may knock at itself, unsigned.", source="127.0.0.1:40000", **one),
        Case("loopback-source-v6", "A host may knock at itself, unsigned.", source="[::1]:40000", **one),
        Case(
            "loopback-source-with-second",
            "The second address is one that a client can have: the grant is for both.",
            source="127.0.0.1:40000",
            fields={"addresses": [SOURCE, address(V6)]},
            second_address=True,
            **one,
        ),
    ]


def what() -> list[Case]:
    def asked(*services: str, **more) -> dict:
        return {"services": [service(one) for one in services]} | more

    return [
        Case("no-services", "All that the certificate allows.", fields=NONE),
        Case("one-udp-port", "One UDP port.", fields=asked("udp/8000")),
        Case("a-range", "A range of UDP ports.", fields=asked("udp/60000-60010")),
        Case(
            "tcp-and-udp",
            "The same port number of both transports.",
            fields=asked("tcp/22", "udp/22"),
            client="admin",
        ),
        Case(
            "touching-ranges",
            "Ranges may touch, as long as they do not overlap.",
            client="admin",
            fields=asked("tcp/20-21", "tcp/22", "tcp/23-25"),
        ),
        Case(
            "all-ports",
            "The widest ranges there are.",
            client="admin",
            fields=asked("tcp/1-65535", "udp/1-65535"),
        ),
        Case(
            "sixteen-services", "As many as a message can hold.", client="admin", fields={"services": SIXTEEN}
        ),
        Case(
            "not-allowed-is-not-judged-here",
            "A proven knock for a port outside the certificate: proof and policy are two steps.",
            fields=asked("tcp/9"),
        ),
        Case("lifetime-shortest", "One second.", fields={"lifetime": 1}),
        Case("lifetime-longest", "65535 seconds; the server may clip it.", fields={"lifetime": 65535}),
        Case("single-use", "Used up by the first connection.", fields={"flags": SINGLE_USE}),
        Case(
            "answer-v4",
            "An answer is wanted; the grant lasts as asked.",
            fields={"flags": ANSWER_WANTED, "lifetime": 60},
            answer=(False, 60, times.NOW_MS + 3),
        ),
        Case(
            "answer-v6",
            "An answer to an IPv6 source.",
            source=FROM_V6,
            fields={"flags": ANSWER_WANTED},
            answer=(False, 15, times.NOW_MS),
        ),
        Case(
            "answer-v4-mapped",
            "The answer names the IPv4 address of a v4-mapped source.",
            source=f"[::ffff:{V4}]:65535",
            fields={"flags": ANSWER_WANTED},
            answer=(False, 1, times.NOW_MS),
        ),
        Case(
            "answer-with-successor",
            "The reserved field has a value, as a later server may send it: the client ignores it.",
            fields={"flags": ANSWER_WANTED},
            answer=(False, 15, times.NOW_MS),
            successor=keys.seeded("successor", 16),
        ),
        Case(
            "answer-clipped",
            "The grant is shorter than asked for. Both flags are set.",
            fields={"flags": SINGLE_USE | ANSWER_WANTED, "lifetime": 65535},
            answer=(True, 3600, times.NOW_MS + 999),
        ),
    ]


def when() -> list[Case]:
    return [
        Case(
            "stamp-oldest",
            "Exactly the window behind the server's clock.",
            fields={"stamp": times.NOW_MS - times.WINDOW_MS},
        ),
        Case(
            "stamp-newest",
            "Exactly the window ahead of the server's clock.",
            fields={"stamp": times.NOW_MS + times.WINDOW_MS},
        ),
    ]


def tags() -> list[Case]:
    """Which tags count, whatever the stamp is."""
    now = tag.epoch(times.NOW_MS)
    hour = {"window_ms": tag.FAR_MS}
    return [
        Case("tag-first", "Index 0, the first of the low tags.", index=0),
        Case("tag-last-low", "Index 63, the last of the low tags.", index=tag.LOW_TAGS - 1),
        Case("tag-first-high", "Index 64.", index=tag.LOW_TAGS),
        Case("tag-last", "Index 4095, the last of all.", index=tag.TAGS - 1),
        Case(
            "tag-of-the-epoch-before",
            "The stamp is of the epoch before, as it is within the window.",
            fields={"stamp": times.NOW_MS - 251},
            index=tag.LOW_TAGS,
        ),
        Case(
            "tag-of-another-epoch",
            "The stamp is right. The tag is of an hour ago, and low: they are not compared.",
            epoch=tag.epoch(times.NOW_MS - tag.FAR_MS),
            index=5,
        ),
        Case(
            "tag-of-an-epoch-ahead",
            "The stamp is right. The tag is of an hour later, and low: they are not compared.",
            epoch=tag.epoch(times.NOW_MS + tag.FAR_MS),
            index=5,
        ),
        Case(
            "tag-high-in-a-long-window",
            "The window is an hour, and the stamp is 128 s old: all tags count.",
            fields={"stamp": times.NOW_MS - 128_000},
            index=tag.TAGS - 1,
            **hour,
        ),
        Case(
            "tag-low-in-a-long-window",
            "The window is an hour, and the stamp is an hour old: the low tags count.",
            fields={"stamp": times.NOW_MS - tag.FAR_MS},
            index=tag.LOW_TAGS - 1,
            **hour,
        ),
        Case(
            "tag-two-epochs-ahead-in-a-long-window",
            "The window is an hour: all tags of two epochs ahead count.",
            epoch=now + 2,
            index=tag.TAGS - 1,
            **hour,
        ),
    ]


def forms() -> list[Case]:
    """Every valid ECDSA signature counts, also the twin that anyone can compute."""
    twins = []
    for client, kind in (("alice", "p256"), ("bob", "p384")):
        for high in (True, False):
            half = "high" if high else "low"
            twins.append(
                Case(
                    f"{half}-s-{kind}",
                    f"The signature's s is in the {half} half of its range.",
                    client=client,
                    signature=lambda made, kind=kind, high=high: knock.with_s(made, keys.ORDERS[kind], high),
                )
            )
    return twins


def sizes() -> list[Case]:
    cases = []
    for kind, longest in (("p256", 72), ("p384", 104), ("ed25519", 64)):
        cases += [
            Case(
                f"largest-{kind}",
                "The largest certificate there can be, with the longest signature: no padding is left.",
                client=f"largest-{kind}",
                fields=NONE,
                signature_length=longest,
            ),
            Case(
                f"largest-{kind}-full",
                "The largest certificate beside two addresses and sixteen services: no padding is left.",
                client=f"largest-{kind}-full",
                fields=FULL,
                second_address=True,
                source=FROM_V4,
                signature_length=longest,
            ),
        ]
    return cases + [
        Case(
            "past-the-client-limit",
            "Two bytes more than an honest client sends; its signature is short enough by luck. "
            "The limit is the client's, not the server's.",
            client="past-the-client-limit",
            fields=NONE,
            signature_length=70,
        ),
    ]


def certificates() -> list[Case]:
    kinds = [
        Case(
            f"issued-by-{name}",
            f"An authority with a key of kind {name}.",
            client=f"by-ca-{name}",
            authorities=("ca", f"ca-{name}"),
        )
        for name in ("p384", "ed25519", "rsa2048", "rsa4096")
    ]
    return kinds + [
        Case(
            "issued-by-rsa2048-by-pss",
            "Signed by RSASSA-PSS with SHA-256 and a salt of 32 bytes; the authority's key is rsaEncryption.",
            client="by-ca-rsa2048-by-pss",
            authorities=("ca", "ca-rsa2048"),
        ),
        Case(
            "intermediate",
            "The server has the intermediate; the knock carries the leaf alone.",
            client="by-intermediate",
            authorities=("ca", "intermediate"),
        ),
        Case(
            "intermediate-listed-first",
            "The order of authorities means nothing.",
            client="by-intermediate",
            authorities=("intermediate", "ca"),
        ),
        Case(
            "one-of-several-authorities",
            "Another authority of the same name is trusted, too.",
            authorities=("other-ca", "ca"),
        ),
        Case(
            "other-name-only",
            "Allowed by otherName 1.3.6.1.4.1.19518.",
            client="other-name-only",
            fields=NONE,
        ),
        Case("uri-only", "Allowed by URIs.", client="uri-only", fields=NONE),
        Case("two-lists", "The union of two otherNames and a URI.", client="two-lists", fields=NONE),
        Case(
            "among-other-names",
            "Other kinds of names stand before it.",
            client="among-other-names",
            fields=NONE,
        ),
        Case(
            "malformed-items",
            "A malformed item ends its own list and no other.",
            client="malformed-items",
            fields=NONE,
        ),
        Case(
            "no-authorization",
            "Proven, though it may open nothing: proof and policy are two steps.",
            client="no-authorization",
        ),
        Case("utf8-name", "A name outside ASCII.", client="utf8-name"),
        Case("long-serial", "A serial number of 20 bytes, most of them zero.", client="long-serial"),
        Case(
            "high-serial",
            "A serial number that DER writes with a leading zero, which does not count.",
            client="high-serial",
        ),
        Case("first-second", "The certificate begins in this second.", client="first-second"),
        Case("last-second", "The certificate ends in this second.", client="last-second"),
        Case("client-and-server", "For server and client authentication.", client="client-and-server"),
        *key_usages(),
        *intermediates(),
        *keys_and_signatures(),
        *lists_of_ports(),
    ]


def key_usages() -> list[Case]:
    return [
        Case("without-key-usage", "Without keyUsage, a key may sign.", client="without-key-usage"),
        Case("signs-and-agrees", "digitalSignature beside keyAgreement.", client="signs-and-agrees"),
        Case(
            "authority-without-key-usage",
            "Without keyUsage, an authority may sign certificates and lists.",
            client="by-ca-without-key-usage",
            authorities=("ca-without-key-usage",),
            crls=("ca-without-key-usage-empty",),
        ),
        Case(
            "authority-signs-no-lists",
            "No lists are configured, so cRLSign does not matter.",
            client="by-ca-signs-no-lists",
            authorities=("ca-signs-no-lists",),
        ),
    ]


def intermediates() -> list[Case]:
    return [
        Case(
            "intermediate-for-clients",
            "The intermediate's extKeyUsage has clientAuth.",
            client="by-intermediate-for-clients",
            authorities=("ca", "intermediate-for-clients"),
        ),
        Case(
            "path-length-0",
            "No authority is below the intermediate: its pathLenConstraint is kept.",
            client="by-intermediate-path-0",
            authorities=("ca", "intermediate-path-0"),
        ),
        Case(
            "limits-of-an-anchor",
            "An anchor's dates, pathLenConstraint, extKeyUsage and unknown extensions do not count.",
            client="by-intermediate-of-limited",
            authorities=("ca-limited", "intermediate-of-limited"),
        ),
    ]


def keys_and_signatures() -> list[Case]:
    return [
        Case("compressed-point", "The client's key is a compressed point.", client="compressed-point"),
        Case("signed-with-sha384", "A P-256 authority signs with SHA-384.", client="signed-with-sha384"),
        Case("signed-with-sha512", "A P-256 authority signs with SHA-512.", client="signed-with-sha512"),
    ]


def lists_of_ports() -> list[Case]:
    cases = [
        ("loose-items", "White space, signs and leading zeros, as the original allows them."),
        ("items-that-are-no-ports", "Well-formed items that permit nothing, and one that does."),
        ("malformed-number", "Digits outside ASCII end the list."),
        ("malformed-empty-item", "An empty item ends the list."),
        ("malformed-range", "A range is no item of this form."),
    ]
    return [Case(name, text, client=name, fields=NONE) for name, text in cases]


def revocation() -> list[Case]:
    path = {"client": "by-intermediate", "authorities": ("ca", "intermediate")}
    return [
        Case("crl-empty", "Nobody is revoked.", crls=("ca-empty",)),
        Case("crl-of-others", "Others are revoked.", crls=("ca-others",)),
        Case("crl-in-grace", "One second before the list's grace ends.", crls=("ca-in-grace",)),
        Case(
            "crl-same-serial-of-another-issuer",
            "The same serial number is revoked, but another authority's.",
            authorities=("ca", "intermediate"),
            crls=("ca-empty", "intermediate-serial-of-alice"),
        ),
        Case(
            "crl-for-each-issuer",
            "Both issuers of the path have a list.",
            crls=("ca-others", "intermediate-empty"),
            **path,
        ),
    ]
