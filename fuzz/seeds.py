#!/usr/bin/env python3
"""Writes fuzz/seeds from tests/vectors and config.ini.example. What a first byte means is said in each target."""

import json
import struct
import zlib
from pathlib import Path

HERE = Path(__file__).parent
VECTORS = HERE.parent / "tests" / "vectors"
PKI = VECTORS / "v2" / "pki"
NOW = 1_800_000_000_000


def put(target, name, data):
    folder = HERE / "seeds" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def good(name):
    return json.loads((VECTORS / "v2" / "good" / f"{name}.json").read_text())


def pipeline_and_message():
    for client, name in enumerate(["p256-client", "p384-client", "ed25519-client"]):
        scene = bytes([client | 0b11000, 0])  # any address, no list, nothing narrowed
        knock = good(name)
        values = knock["values"]
        datagram, message = bytes.fromhex(knock["datagram"]), bytes.fromhex(values["message"])
        signed = bytes.fromhex(values["signed"])[20 + 32 + 65:]
        certificate = (PKI / f"{knock['client']}.cer").read_bytes()
        assert signed.endswith(certificate)
        put("pipeline", f"{name}-datagram", b"\0" + scene + datagram)
        put("pipeline", f"{name}-message", b"\2" + scene + message)
        put("pipeline", f"{name}-signed", b"\3" + scene + signed)
        put("pipeline", f"{name}-wish", b"\4" + scene + signed[: -2 - len(certificate)])
    for name in ["two-addresses-v4-first", "single-use", "a-range", "signed-v6", "answer-v4"]:
        knock = good(name)
        scene = bytes([0b11000 | (4 if ":" in knock["source"].rsplit(":", 1)[0] else 0), 0])
        message = bytes.fromhex(knock["values"]["message"])
        signed = bytes.fromhex(knock["values"]["signed"])[20 + 32 + 65:]
        certificate = (PKI / f"{knock['client']}.cer").read_bytes()
        put("pipeline", f"{name}-wish", b"\4" + scene + signed[: -2 - len(certificate)])
        put("message", name, message)
    put("message", "sixteen-services", bytes.fromhex(good("sixteen-services")["values"]["message"]))


def original():
    vectors = json.loads((VECTORS / "v1" / "vectors.json").read_text())["vectors"]
    for vector in vectors:
        if vector["id"] in ["ok-v4-tcp2000", "ok-v4-udp8000", "quirk-certtrailer", "quirk-sigpad"]:
            plain = bytes.fromhex(vector["plaintext_hex"])
            put("original", f"{vector['id']}-signed", b"\3\1\0" + plain[:-73])
            if vector["id"] == "ok-v4-tcp2000":  # the one knock that the target takes for genuine
                put("original", "datagram", b"\0\1\0" + (VECTORS / "v1" / vector["file"]).read_bytes())
                put("original", "message", b"\2\1\0" + plain)


def authorization():
    for name in ["alice", "malformed-items", "two-lists", "other-name-only"]:
        put("authorization", f"{name}-certificate", b"\0" + (PKI / f"{name}.cer").read_bytes())
    put("authorization", "uris", b"\2sknock:tcp/22\nsknock:udp/60000-61000\nhttps://example.org/")
    put("authorization", "other-names", b"\3 1.2000,0.8000\n01.22,+1.443,2.1,1.2.3\n1.5,x,1.6")


def tlv(tag, content):
    size = len(content)
    digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
    head = bytes([size]) if size < 128 else bytes([128 | len(digits)]) + digits
    return bytes([tag]) + head + content


def length_of(element):
    """Of the first element of some DER, its head included."""
    if element[1] < 128:
        return 2 + element[1]
    digits = element[1] & 127
    return 2 + digits + int.from_bytes(element[2:2 + digits], "big")


def revocation():
    for name in ["ca-empty", "ca-alice", "ca-alice-held"]:
        data = (PKI / f"{name}.crl").read_bytes()
        put("revocation", f"{name}-file", b"\0" + data)
    two = (PKI / "ca-alice.crl").read_bytes() + (PKI / "ca-empty.crl").read_bytes()
    put("revocation", "two-in-a-file", b"\0" + two)
    date = tlv(0x17, b"250601000000Z")
    reason = tlv(0x30, tlv(0x30, tlv(6, bytes([0x55, 0x1D, 21])) + tlv(4, tlv(10, b"\6"))))
    entries = tlv(0x30, tlv(2, b"\x01\x02") + date) + tlv(0x30, tlv(2, b"\x7f" * 20) + date + reason)
    number = tlv(0x30, tlv(6, bytes([0x55, 0x1D, 20])) + tlv(4, tlv(2, b"\x05")))
    put("revocation", "parts", b"\2" + struct.pack(">H", len(entries)) + entries + number)
    point = tlv(0xA0, tlv(0xA0, tlv(0x86, b"http://ca.example/1.crl")))
    place = tlv(0x30, point + b"\x81\1\xff")
    extension = tlv(0x30, tlv(6, bytes([0x55, 0x1D, 28])) + b"\1\1\xff" + tlv(4, place))
    put("revocation", "a-place", b"\2\0\0" + extension)
    put("revocation", "two-places", b"\3" + struct.pack(">H", len(place)) + place + tlv(0x30, tlv(0x30, point)))
    algorithm = tlv(0x30, tlv(6, bytes([0x2B, 0x65, 0x70])))
    name = tlv(0x30, tlv(0x31, tlv(0x30, tlv(6, bytes([0x55, 4, 3])) + tlv(12, b"fuzz"))))
    dates = tlv(0x17, b"250101000000Z") + tlv(0x17, b"260101000000Z")
    head = tlv(2, b"\1") + algorithm + name + dates
    put("revocation", "signed", b"\1" + tlv(0x30, head + tlv(0x30, entries) + tlv(0xA0, tlv(0x30, number))))


def bundle():
    for path in sorted((VECTORS / "pkcs12").glob("*.pfx")):
        put("bundle", f"{path.stem}-file", b"\0" + path.read_bytes())
    # What the MAC protects: PFX { version, { data, [0] { OCTET STRING { ... } } }, ... }
    data = (VECTORS / "pkcs12" / "original-client-modern.pfx").read_bytes()
    at = data.index(bytes.fromhex("06092a864886f70d010701")) + 11
    for _ in range(2):  # [0], then the octets
        at += length_of(data[at:]) - content_length(data[at:])
    put("bundle", "modern-safe", b"\1" + data[at:at + length_of(data[at:])])
    put("bundle", "ber-file", b"\0" + ber(data))
    put("bundle", "ber-safe", b"\1" + ber(data[at:at + length_of(data[at:])]))
    key = bytes.fromhex(json.loads((PKI / "keys.json").read_text())["alice"])
    bag = tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d010c0a0101")) + tlv(0xA0, key))
    certificate = tlv(6, bytes.fromhex("2a864886f70d01091601")) + tlv(0xA0, tlv(4, (PKI / "alice.cer").read_bytes()))
    bag += tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d010c0a0103")) + tlv(0xA0, tlv(0x30, certificate)))
    put("bundle", "plain-bags", b"\2" + bag)


def ber(element):
    """The first element of some DER with indefinite lengths, and strings of octets in two pieces."""
    size, content = length_of(element), content_length(element)
    content = element[size - content:size]
    if element[0] == 4 and len(content) > 1:
        return b"\x24\x80" + tlv(4, content[:1]) + tlv(4, content[1:]) + b"\0\0"
    if not element[0] & 0x20:
        return element[:size]
    parts = b""
    while content:
        parts += ber(content)
        content = content[length_of(content):]
    return element[:1] + b"\x80" + parts + b"\0\0"


def content_length(element):
    """Of the first element of some DER, without its head."""
    return element[1] if element[1] < 128 else int.from_bytes(element[2:2 + (element[1] & 127)], "big")


def configuration():
    example = (HERE.parent / "config.ini.example").read_bytes()
    put("configuration", "example", example)
    put("configuration", "example-uncommented", example.replace(b"\n#", b"\n"))
    slips = ["PFXPasswd hunter2=x", "hunter2:x", "PFXPaswd = hunter2", "[hunter2]", " hunter2", "\ufeff[DEFAULT]", "crlUrl = a:b@c"]
    put("configuration", "slips", "\n".join(slips).encode())
    put("configuration", "variables", b"[DEFAULT]\nfirewallPolicy = drop\0SKNOCK_PROTECTEDPORTS=tcp/80, udp/1-9\0SKNOCK_X=1")


def request():
    def padded(data, length):
        return data + bytes(length - len(data))

    holder = bytes([1, 2, 3, 4, 3]) + padded(b"\7\x08\x09", 20)
    v4 = padded(b"\x04\xcb\x00\x71\x07", 17)
    wish = (b"\2\0" + struct.pack(">I", 30) + b"\1" * 8 + holder + bytes([5]) + padded(b"alice", 64)
            + b"\1" + padded(v4, 34) + b"\1" + padded(b"\6\0\x16\0\x16", 80))
    closing = b"\3" + holder[:4] + b"\2" + holder[4:] + padded(b"\1\x0a", 21)
    records = [b"\1", wish, closing]
    put("request", "raise-open-close", b"".join(b"\1" + padded(record, 256) for record in records))
    put("request", "open-twice", b"".join(b"\0" + padded(wish, 256) for _ in range(2)))
    stage = lambda seconds, tags: b"\6" + struct.pack(">IB", seconds, len(tags)) + b"".join(tags)
    load = lambda count, replace: b"\7" + struct.pack(">IBI", count, replace, 128)
    records = [stage(100, [b"good", b"more"]), load(2, 1), stage(200, [b"good"]), load(1, 0)]
    put("request", "stage-load-tags", b"".join(b"\1" + padded(record, 256) for record in records))


def journal():
    def record(tag, *parts):
        body = b"".join(parts)
        body = body + bytes(56 - len(body)) + tag
        return body + struct.pack(">I", zlib.crc32(body))

    def stamp(offset):
        return struct.pack(">Q", NOW + offset)

    head = record(b"head", b"sknock journal 2", bytes(16), stamp(-60_000), struct.pack(">Q", 2))
    used = [record(b"used", bytes([n]) * 48, stamp(offset)) for n, offset in enumerate([-40_000, -1, 9_000])]
    whole = head + b"".join(used)
    put("journal", "this-boot", b"\0\0" + whole)
    put("journal", "another-boot", b"\0\3" + whole)
    put("journal", "closed", b"\0\1" + whole + record(b"done", struct.pack(">Q", 2)))
    put("journal", "former", b"\0\x14" + whole)
    put("journal", "alone", b"\0\x24" + whole)
    put("journal", "torn", b"\0\4" + whole[:-7])
    put("journal", "described", b"\1\0" + bytes(8) + b"\1\x9c\x40\1\2\3\0\0" + b"\2\x10\0\4\5\6\0\0")


def packet():
    v4, v6 = bytes([203, 0, 113, 7, 10, 0, 0, 1]), bytes.fromhex("20010db8" + "00" * 11 + "07" + "fd00" + "00" * 13 + "01")
    ports = struct.pack(">HH", 40000, 62344)
    put("packet", "v4", b"\2" + v4 + ports + b"knock")
    put("packet", "v6", b"\3" + v6 + ports + b"knock!")
    whole = struct.pack(">BBHHHBBH", 0x45, 0, 20 + 8 + 5, 0, 0, 64, 17, 0) + v4 + ports + struct.pack(">HH", 13, 0) + b"knock"
    put("packet", "whole", b"\1" + whole)
    attribute = struct.pack("=HH", 4 + len(whole), 9) + whole + bytes(-len(whole) % 4)
    prefix = struct.pack("=HH", 7, 10) + b"sk\0\0"
    body = struct.pack("=BBH", 2, 0, 0) + prefix + attribute
    put("packet", "netlink", b"\0" + struct.pack("=IHHII", 16 + len(body), 0x400, 0, 0, 0) + body)


def control():
    def line(request, version=1):
        return json.dumps({"version": version, "request": request}, separators=(",", ":")).encode() + b"\n"

    door = {"address": "203.0.113.7", "service": "tcp/22", "single_use": False}
    put("control", "each", b"\xff" + b"".join(map(line, [
        "confirm", {"reload": {}}, {"reload": {"confirm_seconds": 60}}, {"grants": {"after": None}},
        {"grants": {"after": door}}, {"close": {"name": "alice", "address": "2001:db8::7"}},
        {"close": {"knock": "0123456789abcdef", "serial": "0A:1b"}}])))
    put("control", "versions", b"\3" + line("confirm", 0) + line({"fly": []}, 2) + b'{"version":-1}\n[{}]\n\nhalf')


for make in [pipeline_and_message, original, authorization, revocation, bundle, configuration, request, journal, packet, control]:
    make()
