"""Knocks that are proven and yet refused: used up, or more than policy allows."""

from dataclasses import replace

from . import keys, knock, tag
from .case import V4, V6, Case, Policy, altered
from .knock import SINGLE_USE, address, service

LIBERAL = Policy()
P256_FIELD = 2**256 - 2**224 + 2**192 + 2**96 - 1


def granted() -> list[Case]:
    ssh = Policy(offered=("tcp/22", "tcp/2222"))
    everything = ["tcp/22", "tcp/443", "udp/8000", "udp/60000-60010"]
    return [
        Case(
            "granted-as-asked",
            "One service, for as long as asked.",
            fields=asked("tcp/22", lifetime=60),
            policy=LIBERAL,
            grant=(["tcp/22"], 60, False),
        ),
        Case(
            "granted-all-allowed",
            "No service is named: all that the certificate allows, for the usual time.",
            fields=asked(),
            policy=LIBERAL,
            grant=(everything, 15, False),
        ),
        Case(
            "granted-all-offered",
            "No service is named: what is both allowed and offered.",
            fields=asked(),
            policy=ssh,
            grant=(["tcp/22"], 15, False),
        ),
        Case(
            "granted-64-ports",
            "As many ports as one grant may have.",
            client="admin",
            fields=asked("tcp/1001-1032", "udp/1-32"),
            policy=LIBERAL,
            grant=(["tcp/1001-1032", "udp/1-32"], 15, False),
        ),
        Case(
            "granted-less-time",
            "A longer lifetime than the administrator allows.",
            fields=asked("tcp/22", lifetime=3601),
            policy=LIBERAL,
            grant=(["tcp/22"], 3600, True),
        ),
        Case(
            "granted-until-the-certificate-ends",
            "The certificate ends in 10 seconds less 250 ms.",
            client="ends-in-10-s",
            fields=asked("tcp/22"),
            policy=LIBERAL,
            grant=(["tcp/22"], 9, True),
        ),
        Case(
            "granted-single-use",
            "Two single TCP ports.",
            fields=asked("tcp/22", "tcp/443", flags=SINGLE_USE),
            policy=LIBERAL,
            grant=(["tcp/22", "tcp/443"], 15, False),
        ),
        Case(
            "granted-single-use-of-all",
            "No service is named; those allowed are single TCP ports that do not touch.",
            client="tcp-apart",
            fields=asked(flags=SINGLE_USE),
            policy=LIBERAL,
            grant=(["tcp/22", "tcp/443"], 15, False),
        ),
        Case(
            "granted-single-use-of-neighbours",
            "Ports that touch, named one by one: they are not joined.",
            client="tcp-neighbours",
            fields=asked("tcp/22", "tcp/23", flags=SINGLE_USE),
            policy=LIBERAL,
            grant=(["tcp/22", "tcp/23"], 15, False),
        ),
        Case(
            "granted-single-use-of-two-addresses",
            "Each of both addresses may begin one connection.",
            fields={"addresses": [address(V4), address(V6)], "flags": SINGLE_USE},
            second_address=True,
            policy=LIBERAL,
            grant=(["tcp/22"], 15, False),
        ),
        Case(
            "granted-beside-another",
            "An earlier knock of the same client is admitted: this one is another.",
            policy=LIBERAL,
            before=(Case("granted-earlier", ""),),
            grant=(["tcp/22"], 15, False),
        ),
    ]


def policy() -> dict[str, list[Case]]:
    return {
        "repeated": repeated(),
        "replayed": replayed(),
        "nothing-allowed": nothing_allowed(),
        "service-not-allowed": service_not_allowed(),
        "service-not-offered": service_not_offered(),
        "too-many-ports": too_many_ports(),
        "single-use-unfit": single_use_unfit(),
    }


def asked(*services: str, **more) -> dict:
    return {"services": [service(one) for one in services]} | more


def twin(signature: bytes) -> bytes:
    """The other valid ECDSA signature over the same bytes: r, n - s."""
    r, s = knock.decode_dss_signature(signature)
    return knock.encode_dss_signature(r, keys.ORDERS["p256"] - s)


def copied(name: str, description: str, **changes) -> Case:
    """A knock, admitted once; then a copy of it with `changes`."""
    first = Case("first", "", policy=LIBERAL, randomness="copied")
    return replace(first, name=name, description=description, before=(replace(first, name=name),), **changes)


def repeated() -> list[Case]:
    return [
        copied("the-same-bytes", "The same datagram again."),
        copied(
            "from-another-address",
            "The same datagram, captured and sent from elsewhere.",
            source="203.0.113.66:40000",
        ),
        copied("veiled-anew", "The same frame under another nonce.", datagram=reveil),
        copied(
            "with-the-twin-signature",
            "The same message with the other valid signature, sealed anew with the same one-time key.",
            signature=twin,
        ),
        copied(
            "another-message",
            "Another message to the same one-time key, which an honest client never uses twice.",
            fields=asked("tcp/443"),
        ),
        copied(
            "junk-inside",
            "The one-time key of an admitted knock, and nothing that decrypts: refused before it is tried.",
            frame=lambda made: made[:65] + bytes(len(made) - 65),
        ),
        copied("negative-y", "X with -Y: another point, but the same X.", frame=negative),
        copied(
            "half-of-x",
            "Only the first 16 bytes of X are compared: this is not even a point.",
            frame=altered(17),
        ),
    ]


def negative(frame: bytes) -> bytes:
    """The frame with the other point of the same X."""
    return frame[:33] + (P256_FIELD - int.from_bytes(frame[33:65])).to_bytes(32) + frame[65:]


def not_repeated() -> list[Case]:
    return [
        copied(
            "byte-16-of-x",
            "The last byte that is compared is another: this is no repetition, and no point.",
            frame=altered(16),
        ),
    ]


def reveil(datagram: bytes) -> bytes:
    """Lifts the veil for server A and puts another over it."""
    server = keys.private("server-a", "p256")
    key = knock.veil_key(knock.sid(server))
    frame = knock.AESGCM(key).decrypt(datagram[:12], datagram[12:], b"")
    nonce = datagram[: tag.TAG] + keys.seeded("another nonce", tag.NONCE - tag.TAG)
    return knock.veil(knock.sid(server), nonce, frame)


def replayed() -> list[Case]:
    return [
        copied("two-at-once", "The same datagram twice, each proven before either is admitted.", race=True),
        copied(
            "two-signatures-at-once",
            "As before, but the copy bears the other valid signature: the id is the same.",
            race=True,
            signature=twin,
        ),
    ]


def nothing_allowed() -> list[Case]:
    return [
        Case(
            "no-names", "The certificate has no alternative names.", client="no-authorization", policy=LIBERAL
        ),
        Case(
            "asks-for-all",
            "It asks for all that it allows: nothing.",
            client="no-authorization",
            policy=LIBERAL,
            fields=asked(),
        ),
        Case(
            "only-foreign-names",
            "Alternative names, but none of ours.",
            client="only-foreign-names",
            policy=LIBERAL,
        ),
    ]


def service_not_allowed() -> list[Case]:
    one = {"policy": LIBERAL}
    return [
        Case("another-port", "A port that the certificate does not name.", fields=asked("tcp/23"), **one),
        Case("another-transport", "The port, but of the other transport.", fields=asked("udp/22"), **one),
        Case(
            "one-of-two",
            "One of two services: the whole knock is refused.",
            fields=asked("tcp/22", "tcp/23"),
            **one,
        ),
        Case(
            "range-too-wide",
            "One port more than the range that is allowed.",
            fields=asked("udp/60000-60011"),
            **one,
        ),
        Case(
            "after-a-malformed-item",
            "Named behind a malformed item of its list.",
            client="malformed-items",
            fields=asked("tcp/443"),
            **one,
        ),
    ]


def service_not_offered() -> list[Case]:
    ssh = Policy(offered=("tcp/22",))
    return [
        Case(
            "not-offered",
            "The certificate allows it, the administrator does not.",
            fields=asked("tcp/443"),
            policy=ssh,
        ),
        Case(
            "one-of-two",
            "One of two services: the whole knock is refused.",
            fields=asked("tcp/22", "tcp/443"),
            policy=ssh,
        ),
        Case(
            "range-too-wide",
            "Part of the range is offered.",
            fields=asked("udp/60000-60010"),
            policy=Policy(offered=("udp/60000-60009",)),
        ),
        Case(
            "nothing-in-common",
            "Asks for all that is allowed, none of which is offered.",
            fields=asked(),
            policy=Policy(offered=("tcp/2222",)),
        ),
    ]


def too_many_ports() -> list[Case]:
    wide = asked(*(f"tcp/{first}-{first + 15}" for first in range(1000, 1000 + 16 * 20, 20)))
    return [
        Case(
            "sixteen-ranges", "Sixteen ranges of sixteen ports.", client="admin", fields=wide, policy=LIBERAL
        ),
        Case(
            "65-ports",
            "A single range, one port too wide.",
            client="admin",
            fields=asked("tcp/1001-1065"),
            policy=LIBERAL,
        ),
        Case(
            "asks-for-all",
            "Asks for all that is allowed, which is too much for one grant.",
            client="admin",
            fields=asked(),
            policy=LIBERAL,
        ),
    ]


def single_use_unfit() -> list[Case]:
    once = {"flags": SINGLE_USE}
    return [
        Case("udp", "UDP has no connections to count.", fields=asked("udp/8000", **once), policy=LIBERAL),
        Case(
            "a-range",
            "More than one port.",
            client="admin",
            fields=asked("tcp/22-23", **once),
            policy=LIBERAL,
        ),
        Case(
            "one-of-two",
            "TCP and UDP: the whole knock is refused.",
            fields=asked("tcp/22", "udp/8000", **once),
            policy=LIBERAL,
        ),
        Case(
            "asks-for-all",
            "Asks for all that is allowed, which includes UDP.",
            fields=asked(**once),
            policy=LIBERAL,
        ),
        Case(
            "asks-for-all-neighbours",
            "Asks for all that is allowed: two items of TCP ports that touch, which are one range.",
            client="tcp-neighbours",
            fields=asked(**once),
            policy=LIBERAL,
        ),
    ]
