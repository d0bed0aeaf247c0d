"""What a certificate allows, read from its subject alternative names."""

import re

from cryptography import x509

from .x509 import OTHER_NAME, Entity

TRANSPORTS = {1: "tcp", 0: "udp"}
# ASCII only: `int` and `\d` know other digits and spaces, too
INTEGER = re.compile(r"[ \t\n\v\f\r]*([+-]?[0-9]+)[ \t\n\v\f\r]*")


def allowed(entity: Entity) -> list[str]:
    """The union of all entries, ascending: TCP before UDP, ranges that touch joined."""
    try:
        names = entity.parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    ranges = []
    for name in names:
        if isinstance(name, x509.OtherName) and name.type_id == OTHER_NAME:
            ranges += listed(utf8(name.value))
        elif isinstance(name, x509.UniformResourceIdentifier):
            ranges += from_uri(name.value)
    return [text(*service) for service in union(ranges)]


def utf8(der: bytes) -> str:
    assert der[0] == 0x0C
    header = 2 if der[1] < 0x80 else 2 + (der[1] & 0x7F)
    return der[header:].decode()


def listed(items: str) -> list[tuple]:
    """`1.2000,0.8000`; the first malformed item ends the list."""
    ranges = []
    for item in items.split(","):
        numbers = [INTEGER.fullmatch(number) for number in item.split(".")]
        if not all(numbers):
            break
        numbers = [-1 if number[1].startswith("-") else int(number[1]) for number in numbers]
        if len(numbers) == 2 and numbers[0] in TRANSPORTS and 1 <= numbers[1] <= 65535:
            ranges.append((TRANSPORTS[numbers[0]], numbers[1], numbers[1]))
    return ranges


def from_uri(uri: str) -> list[tuple]:
    """`sknock:tcp/22` or `sknock:udp/60000-61000`."""
    scheme, _, service = uri.partition(":")
    transport, _, ports = service.partition("/")
    first, _, last = ports.partition("-")
    if scheme != "sknock" or transport not in TRANSPORTS.values():
        return []
    ports = (int(first), int(last or first))
    return [(transport, *ports)] if 1 <= ports[0] <= ports[1] <= 65535 else []


def union(ranges: list[tuple]) -> list[tuple]:
    joined: list[tuple] = []
    for transport, first, last in sorted(ranges):
        if joined and joined[-1][0] == transport and first <= joined[-1][2] + 1:
            joined[-1] = (transport, joined[-1][1], max(last, joined[-1][2]))
        else:
            joined.append((transport, first, last))
    return joined


def text(transport: str, first: int, last: int) -> str:
    return f"{transport}/{first}" if first == last else f"{transport}/{first}-{last}"
