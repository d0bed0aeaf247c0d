"""Answers that a client must refuse. Each is wrong in one way; the knock and its genuine answer are right."""

from . import times
from .case import FROM_V6, Case, Tamper, altered
from .knock import ANSWER_WANTED

STATUS, FAMILY, SECONDS, ADDRESS, PORT, KNOCK_ID, ZEROS = 0, 1, 2, 12, 28, 30, 62


def cases() -> list[Case]:
    return fields() + bytes_on_the_wire()


def refused(name: str, description: str, **changes) -> Case:
    wanted = {"flags": ANSWER_WANTED, "lifetime": 60}
    return Case(name, description, fields=wanted, answer=(False, 60, times.NOW_MS + 3), **changes)


def put(at: int, content: bytes) -> Tamper:
    """Replaces bytes from `at` on."""
    return lambda plain: plain[:at] + content + plain[at + len(content) :]


def fields() -> list[Case]:
    mapped = bytes(10) + b"\xff\xff" + bytes([203, 0, 113, 7])
    return [
        refused("status-2", "Reserved: pending.", answer_plain=put(STATUS, b"\x02")),
        refused("status-3", "Reserved: denied.", answer_plain=put(STATUS, b"\x03")),
        refused("status-4", "Reserved: closed.", answer_plain=put(STATUS, b"\x04")),
        refused("status-ff", "A status that there is not.", answer_plain=put(STATUS, b"\xff")),
        refused("family-0", "No family.", answer_plain=put(FAMILY, b"\0")),
        refused("family-5", "A family that there is not.", answer_plain=put(FAMILY, b"\x05")),
        refused("seconds-0", "No grant lasts for 0 seconds.", answer_plain=put(SECONDS, bytes(2))),
        refused(
            "bytes-behind-an-ipv4-address",
            "One of the twelve zeros behind an IPv4 address is not zero.",
            answer_plain=put(ADDRESS + 15, b"\x01"),
        ),
        refused(
            "v4-mapped-in-family-6",
            "An IPv4 address as IPv6: it belongs into family 4.",
            source=FROM_V6,
            answer_plain=put(ADDRESS, mapped),
        ),
        refused("port-0", "No knock comes from port 0.", answer_plain=put(PORT, bytes(2))),
        refused("of-another-knock", "The id of another knock.", answer_plain=altered(KNOCK_ID)),
        refused("of-another-knock-last-byte", "The same, in its last byte.", answer_plain=altered(45)),
        refused("padding-starts-with-one", "The first zero.", answer_plain=put(ZEROS, b"\x01")),
        refused("padding-ends-with-one", "The last zero.", answer_plain=altered(-1)),
    ]


def bytes_on_the_wire() -> list[Case]:
    return [
        refused("empty", "No bytes at all.", answer_datagram=lambda made: b""),
        refused("95-bytes", "The last byte is missing.", answer_datagram=lambda made: made[:-1]),
        refused("97-bytes", "One byte too many.", answer_datagram=lambda made: made + b"\0"),
        refused("altered-nonce", "One bit of the nonce.", answer_datagram=altered(0)),
        refused("altered-ciphertext", "One bit of the ciphertext.", answer_datagram=altered(12)),
        refused("altered-tag", "One bit of the tag.", answer_datagram=altered(-1)),
        refused("zeros", "Zero bytes of the right length.", answer_datagram=lambda made: bytes(len(made))),
    ]
