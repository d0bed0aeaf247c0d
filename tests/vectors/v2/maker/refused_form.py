"""Refused before anybody is believed: length, veil, encryption, form, time."""

from . import knock, tag, times
from .case import V4, V6, Case, altered
from .knock import SOURCE, address, raw_service, service

SERVER_A = knock.sid(knock.keys.private("server-a", "p256"))
OLD = {"stamp": times.NOW_MS - times.WINDOW_MS - 1}


def wrong_length() -> list[Case]:
    return [
        Case("empty", "No bytes at all.", datagram=lambda made: b""),
        Case("one-byte", "A single byte.", datagram=lambda made: made[:1]),
        Case("1199-bytes", "The last byte is missing.", datagram=lambda made: made[:-1]),
        Case("1201-bytes", "One byte too many.", datagram=lambda made: made + b"\0"),
        Case("1500-bytes", "As long as Ethernet carries.", datagram=lambda made: made.ljust(1500, b"\0")),
    ]


def not_veiled() -> list[Case]:
    return [
        Case(
            "random",
            "Random bytes behind the tag.",
            datagram=lambda made: made[: tag.TAG] + knock.keys.seeded("junk", len(made) - tag.TAG),
        ),
        Case(
            "zeros",
            "Zero bytes behind the tag.",
            datagram=lambda made: made[: tag.TAG] + bytes(len(made) - tag.TAG),
        ),
        Case("veil-of-another-server", "Tagged for server A, veiled for server B.", veiled_for="server-b"),
        Case(
            "knock-for-another-server",
            "A knock for server B with a tag for server A, sent to server A.",
            veiled_for="server-b",
            encrypted_to="server-b",
            info_for="server-b",
            signed_for="server-b",
        ),
        Case("altered-nonce", "One bit of the nonce, behind the tag.", datagram=altered(tag.TAG)),
        Case(
            "tag-of-another-epoch",
            "A tag that is accepted, but not the one of this veil: it is part of the nonce.",
            datagram=lambda made: tag.make(SERVER_A, tag.epoch(times.NOW_MS) + 1, 0) + made[tag.TAG :],
        ),
        Case("altered-frame", "One bit of the veiled frame.", datagram=altered(12)),
        Case("altered-aead-tag", "One bit of the veil's AES-GCM tag.", datagram=altered(-1, 0x80)),
    ]


def not_for_this_server() -> list[Case]:
    return [
        Case(
            "encrypted-to-another-server",
            "Veiled for A, encrypted to B.",
            encrypted_to="server-b",
            info_for="server-b",
        ),
        Case(
            "frame-of-another-server",
            "A whole knock for server B, veiled anew for A.",
            encrypted_to="server-b",
            info_for="server-b",
            signed_for="server-b",
        ),
        Case(
            "info-of-another-server",
            "Encrypted to A's key, with B's sid in HPKE's info.",
            info_for="server-b",
        ),
        Case("altered-ciphertext", "One bit of the message.", frame=altered(65)),
        Case("altered-tag", "One bit of HPKE's tag.", frame=altered(-1)),
        Case("altered-encapsulation", "A point that is not on the curve.", frame=altered(64)),
        Case(
            "encapsulation-of-another-knock",
            "Another one-time key.",
            frame=lambda made: knock.hpke.point(knock.keys.private("elsewhere", "p256").public_key())
            + made[65:],
        ),
        Case("compressed-encapsulation", "The first byte is 02.", frame=lambda made: b"\x02" + made[1:]),
        Case(
            "hybrid-encapsulation",
            "The first byte is 06 or 07: the hybrid form of the same point.",
            frame=lambda made: bytes([6 | made[64] & 1]) + made[1:],
        ),
        Case("point-at-infinity", "65 zero bytes for a point.", frame=lambda made: bytes(65) + made[65:]),
        Case(
            "no-hpke",
            "A veiled frame of random bytes.",
            frame=lambda made: knock.keys.seeded("frame", len(made)),
        ),
    ]


def malformed() -> list[Case]:
    return head() + addresses() + services() + certificate_field() + signature_field()


def head() -> list[Case]:
    return [
        Case("version-0", "Version 0.", fields={"version": 0}),
        Case("version-1", "Version 1.", fields={"version": 1}),
        Case("version-3", "Version 3.", fields={"version": 3}),
        Case("unknown-flag-04", "A flag that is reserved: close.", fields={"flags": 0x04}),
        Case("unknown-flag-80", "A flag that means nothing, beside one that does.", fields={"flags": 0x82}),
        Case("all-zero", "A message of zeros.", message=lambda made: bytes(len(made))),
        Case("all-ff", "A message of ff.", message=lambda made: b"\xff" * len(made)),
    ]


def addresses() -> list[Case]:
    def claimed(*entries: bytes, **more) -> dict:
        return {"fields": {"addresses": list(entries)} | more, "second_address": True}

    return [
        Case("no-address", "n_addr 0.", **claimed()),
        Case("three-addresses", "n_addr 3.", **claimed(SOURCE, address(V6), address(V4))),
        Case("more-addresses-counted", "n_addr 2, but one address.", **claimed(SOURCE, n_addr=2)),
        Case("kind-1", "A kind of address that there is not.", **claimed(b"\x01")),
        Case("kind-5", "A kind of address that there is not.", **claimed(b"\x05" + bytes(4))),
        Case("second-is-source", "The second address is kind 0.", **claimed(address(V4), SOURCE)),
        Case("twice-source", "Both addresses are kind 0.", **claimed(SOURCE, SOURCE)),
    ]


def services() -> list[Case]:
    def asked(*entries: str | bytes, **more) -> dict:
        listed = [service(entry) if isinstance(entry, str) else entry for entry in entries]
        return {"fields": {"services": listed} | more, "client": "admin"}

    many = [f"tcp/{port}" for port in range(1000, 1017)]
    return [
        Case("seventeen-services", "One service too many.", **asked(*many)),
        Case("more-services-counted", "n_serv says more than there are.", **asked("tcp/22", n_serv=2)),
        Case("protocol-0", "Neither TCP nor UDP.", **asked(raw_service(0, 22, 22))),
        Case("protocol-1", "ICMP has no ports.", **asked(raw_service(1, 22, 22))),
        Case("protocol-7", "Neither TCP nor UDP.", **asked(raw_service(7, 22, 22))),
        Case("port-0", "Port 0.", **asked(raw_service(6, 0, 0))),
        Case("range-from-port-0", "A range that begins at port 0.", **asked(raw_service(17, 0, 22))),
        Case("range-upside-down", "First is above last.", **asked(raw_service(6, 23, 22))),
        Case("ports-descend", "Not ascending.", **asked("tcp/443", "tcp/22")),
        Case("udp-before-tcp", "Not ascending: TCP is 6 and UDP 17.", **asked("udp/22", "tcp/22")),
        Case("twice-the-same", "Ascending, but not strictly.", **asked("tcp/22", "tcp/22")),
        Case("ranges-overlap", "Port 25 is in both.", **asked("tcp/20-25", "tcp/25-30")),
        Case("range-within-range", "The second is part of the first.", **asked("tcp/20-30", "tcp/22")),
        Case("same-first-port", "Both begin at 20.", **asked("tcp/20", "tcp/20-30")),
    ]


def certificate_field() -> list[Case]:
    return [
        Case("certificate-missing", "Length 0.", certificate=lambda der: b""),
        Case(
            "certificate-beyond-the-message",
            "A length that runs over the end.",
            fields={"certificate_length": 1091},
        ),
        Case("certificate-length-ffff", "The longest length.", fields={"certificate_length": 0xFFFF}),
        Case(
            "certificate-trailing-byte",
            "A zero byte behind the certificate, within its field.",
            certificate=lambda der: der + b"\0",
        ),
        Case(
            "certificate-cut-short",
            "The last byte of the certificate is missing.",
            certificate=lambda der: der[:-1],
        ),
        Case(
            "certificate-not-a-sequence", "A SET, not a SEQUENCE.", certificate=lambda der: b"\x31" + der[1:]
        ),
        Case(
            "certificate-length-not-minimal",
            "The length in a byte more than DER allows.",
            certificate=lambda der: b"\x30\x83\0" + der[2:],
        ),
        Case(
            "certificate-indefinite-length",
            "The indefinite length of BER.",
            certificate=lambda der: b"\x30\x80" + der[4:] + b"\0\0",
        ),
        Case(
            "certificate-is-text", "Not DER at all.", certificate=lambda der: b"-----BEGIN CERTIFICATE-----"
        ),
    ]


def signature_field() -> list[Case]:
    return [
        Case("signature-missing", "Length 0.", signature=lambda made: b""),
        Case(
            "signature-beyond-the-message",
            "A length that runs over the end.",
            client="largest-p256",
            fields={"services": []},
            signature_length=72,
            message=lambda made: made[:-73] + b"\x49" + made[-72:],
        ),
        Case(
            "padding-starts-with-one",
            "The first byte behind the signature is not zero.",
            signature=lambda made: made,
            message=lambda made: made[: unpadded(made)] + b"\x01" + made[unpadded(made) + 1 :],
        ),
        Case("padding-ends-with-one", "The last byte is not zero.", message=altered(-1)),
    ]


def unpadded(message: bytes) -> int:
    return len(message.rstrip(b"\0"))


def stamp_too_old() -> list[Case]:
    return [
        Case("by-1-ms", "One millisecond more than the window behind.", fields=OLD),
        Case(
            "by-an-hour-with-a-low-tag",
            "An hour behind, as a client's last attempt says it: the tag is accepted.",
            fields={"stamp": times.NOW_MS - tag.FAR_MS},
            index=tag.LOW_TAGS - 1,
        ),
        Case(
            "by-a-year",
            "A year behind, with a tag of the server's time.",
            fields={"stamp": times.NOW_MS - 365 * 86_400_000},
            epoch=tag.epoch(times.NOW_MS),
        ),
        Case(
            "epoch",
            "Stamp 0, with a tag of the server's time.",
            fields={"stamp": 0},
            epoch=tag.epoch(times.NOW_MS),
        ),
        Case(
            "order-before-certificate",
            "Also the certificate is another authority's.",
            client="by-other-ca",
            fields=OLD,
        ),
    ]


def stamp_in_future() -> list[Case]:
    return [
        Case(
            "by-1-ms",
            "One millisecond more than the window ahead.",
            fields={"stamp": times.NOW_MS + times.WINDOW_MS + 1},
        ),
        Case(
            "by-an-hour-with-a-low-tag",
            "An hour ahead, as a client's last attempt says it: the tag is accepted.",
            fields={"stamp": times.NOW_MS + tag.FAR_MS},
            index=0,
        ),
        Case(
            "latest",
            "The largest stamp there is, with a tag of the server's time.",
            fields={"stamp": 2**64 - 1},
            epoch=tag.epoch(times.NOW_MS),
        ),
        Case(
            "in-seconds-read-as-ms",
            "Microseconds, where milliseconds belong, with a tag of the server's time.",
            fields={"stamp": times.NOW_MS * 1000},
            epoch=tag.epoch(times.NOW_MS),
        ),
    ]
