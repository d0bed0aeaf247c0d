"""One case: what is knocked, what is done to it, how the server is set up; and the file that follows."""

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address

from . import hpke, keys, knock, tag, times
from .allowed import allowed, text
from .x509 import Entity

Tamper = Callable[[bytes], bytes]
V4, V6 = "203.0.113.7", "2001:db8::7"
FROM_V4, FROM_V6 = f"{V4}:40000", f"[{V6}]:40000"


@dataclass(frozen=True)
class Policy:
    """What the administrator offers (None: everything), and how long grants last."""

    offered: tuple | None = None
    usual_s: int = 15
    longest_s: int = 3600


@dataclass(frozen=True)
class Case:
    """`fields` overrides what `knock.Fields` says; the rest, from `certificate` on, tampers."""

    name: str
    description: str
    client: str = "alice"
    server: str = "server-a"
    authorities: tuple = ("ca",)
    crls: tuple | None = None
    refused_crls: tuple = ()  # come, but are not accepted
    source_address: bool = True
    second_address: bool = False
    received_at_ms: int = times.NOW_MS
    window_ms: int = times.WINDOW_MS
    source: str = FROM_V4
    fields: dict = field(default_factory=dict)
    answer: tuple | None = None  # clipped, seconds, server's clock
    successor: bytes = bytes(16)
    answer_plain: Tamper = bytes  # these two: a copy of the answer that must be refused
    answer_datagram: Tamper = bytes
    policy: Policy | None = None
    grant: tuple | None = None  # services, seconds, clipped
    before: tuple = ()
    race: bool = False  # all of `before` is proven before any of it is admitted
    signature_length: int | None = None  # tries one-time keys until the signature is so long
    randomness: str | None = None  # shares another case's one-time key
    certificate: Tamper = bytes
    signing_key: str | None = None
    signature_hash: object = None
    signed_for: str | None = None
    signed_enc: Tamper = bytes
    signature: Tamper = bytes
    message: Tamper = bytes
    info_for: str | None = None
    encrypted_to: str | None = None
    frame: Tamper = bytes
    veiled_for: str | None = None
    tagged_for: str | None = None
    epoch: int | None = None  # None: that of the stamp
    index: int | None = None  # None: it follows from the name
    tag: Tamper = bytes
    datagram: Tamper = bytes


@dataclass
class Made:
    """A datagram with every value on the way to it."""

    values: dict[str, bytes]
    fields: knock.Fields
    epoch: int
    index: int
    datagram: bytes


def make(case: Case, pki: dict[str, Entity]) -> Made:
    for attempt in range(1000):
        made = attempt_to_make(case, pki, attempt)
        if made is not None:
            return made
    raise ValueError(f"{case.name}: no signature of {case.signature_length} bytes")


def attempt_to_make(case: Case, pki: dict[str, Entity], attempt: int) -> Made | None:
    def server_id(name: str | None) -> bytes:
        return knock.sid(pki[name or case.server].key)

    seed = case.randomness or case.name
    encrypted_to = pki[case.encrypted_to or case.server].key.public_key()
    info = knock.hpke_info(server_id(case.info_for))
    again = f" {attempt}" if attempt else ""
    context = hpke.setup_sender(encrypted_to, info, keys.scalar(f"{seed}, ephemeral{again}"))
    certificate = case.certificate(pki[case.client].der)
    fields = knock.Fields(certificate, **case.fields)
    head = fields.encode()
    signed = knock.signed_bytes(server_id(case.signed_for), case.signed_enc(context.enc), head)
    signature = knock.sign(pki[case.signing_key or case.client].key, signed, case.signature_hash)
    if case.signature_length not in (None, len(signature)):
        return None
    signature = case.signature(signature)
    message = case.message(knock.pad(head, signature))
    frame = case.frame(context.enc + context.seal(message))
    epoch = tag.epoch(fields.stamp) if case.epoch is None else case.epoch
    index = tag.seeded_index(case.name) if case.index is None else case.index
    made_tag = case.tag(tag.make(server_id(case.tagged_for), epoch, index))
    nonce = made_tag + keys.seeded(f"{case.name}, nonce", tag.NONCE - tag.TAG)
    datagram = case.datagram(knock.veil(server_id(case.veiled_for), nonce, frame))
    identifier = knock.knock_id(signed)
    values = {
        "sid": server_id(None),
        "tag_key": tag.key(server_id(case.tagged_for)),
        "tag": made_tag,
        "nonce": nonce,
        "veil_key": knock.veil_key(server_id(case.veiled_for)),
        "ephemeral_private": context.ephemeral_private,
        "enc": context.enc,
        "shared_secret": context.shared_secret,
        "hpke_key": context.key,
        "hpke_base_nonce": context.base_nonce,
        "hpke_exporter_secret": context.exporter_secret,
        "message": message.rstrip(b"\0"),
        "signed": signed,
        "signature": signature,
        "knock_id": identifier,
        "answer_key": knock.answer_key(context, identifier),
    }
    return Made(values, fields, epoch, index, datagram)


def document(case: Case, pki: dict[str, Entity], good: bool) -> dict:
    """The case as its file says it."""
    made = make(case, pki)
    out: dict = {"description": case.description}
    out |= {"server": case.server, "authorities": list(case.authorities)}
    out["crls"] = None if case.crls is None else list(case.crls)
    if case.refused_crls:
        out["refused_crls"] = list(case.refused_crls)
    out["rules"] = {
        "window_ms": case.window_ms,
        "source_address": word(case.source_address),
        "second_address": word(case.second_address),
        "crl_grace_s": times.GRACE_S,
    }
    if case.policy:
        offered = case.policy.offered
        out["policy"] = {
            "offered": None if offered is None else list(offered),
            "usual_s": case.policy.usual_s,
            "longest_s": case.policy.longest_s,
        }
    if case.before:
        out["before"] = [received(earlier, make(earlier, pki)) for earlier in case.before]
        out["race"] = case.race
    out |= received(case, made)
    out["client"] = case.client
    out["tag"] = {"epoch": made.epoch, "index": made.index}
    if good:
        out["expected"] = expected(case, made, pki)
        if case.grant:
            out["grant"] = dict(zip(("services", "seconds", "clipped"), case.grant))
        out["answer"] = answer(case, made)
    else:
        for follows_from_message in ("signed", "signature", "answer_key"):
            del made.values[follows_from_message]
    out["values"] = {name: value.hex() for name, value in made.values.items()}
    return out


def received(case: Case, made: Made) -> dict:
    return {"received_at_ms": case.received_at_ms, "source": case.source, "datagram": made.datagram.hex()}


def expected(case: Case, made: Made, pki: dict[str, Entity]) -> dict:
    addresses = [str(ip_address(entry[1:])) for entry in made.fields.addresses if entry != knock.SOURCE]
    signed = made.fields.addresses[0] != knock.SOURCE
    return {
        "knock_id": made.values["knock_id"].hex(),
        "stamp_ms": made.fields.stamp,
        "services": [service_text(entry) for entry in made.fields.services],
        "lifetime_s": made.fields.lifetime or None,
        "single_use": bool(made.fields.flags & knock.SINGLE_USE),
        "answer_wanted": bool(made.fields.flags & knock.ANSWER_WANTED),
        "address": host(case.source),
        "address_signed": signed,
        "second_address": addresses[-1] if len(made.fields.addresses) == 2 else None,
        "subject": subject(case, pki),
    }


def subject(case: Case, pki: dict[str, Entity]) -> dict:
    client = pki[case.client]
    path = [client] + [
        pki[name] for name in case.authorities if pki[name].parsed.subject == client.parsed.issuer
    ]
    return {
        "name": client.spec.common_name or client.spec.name,
        "serial": client.serial.hex(),
        "issuer_sha256": client.issuer_hash.hex(),
        "fingerprint_sha256": knock.knock_id(client.der).hex(),
        "not_after_ms": min(times.millis(one.spec.not_after) for one in path),
        "allowed": allowed(client),
    }


def answer(case: Case, made: Made) -> dict | None:
    if case.answer is None:
        return None
    clipped, seconds, server_ms = case.answer
    port = int(case.source.rpartition(":")[2])
    identifier = made.values["knock_id"]
    plain = knock.answer_plain(
        clipped, seconds, server_ms, host(case.source), port, identifier, case.successor
    )
    nonce = keys.seeded(f"{case.name}, nonce of the answer", 12)
    return {
        "clipped": clipped,
        "seconds": seconds,
        "server_ms": server_ms,
        "observed": f"{bracketed(host(case.source))}:{port}",
        "successor": case.successor.hex(),
        "nonce": nonce.hex(),
        "plaintext": plain.hex(),
        "sealed": knock.seal_answer(made.values["answer_key"], nonce, plain).hex(),
    }


def refused_answer(case: Case, pki: dict[str, Entity]) -> dict:
    """A knock with its genuine answer, and bytes that are no answer to it."""
    out = document(case, pki, good=True)
    plain = case.answer_plain(bytes.fromhex(out["answer"]["plaintext"]))
    nonce = keys.seeded(f"{case.name}, nonce of the refused answer", 12)
    sealed = knock.seal_answer(bytes.fromhex(out["values"]["answer_key"]), nonce, plain)
    out["refused_answer"] = {"plaintext": plain.hex(), "sealed": case.answer_datagram(sealed).hex()}
    return out


def host(source: str) -> str:
    """The address of `ip:port`; IPv4 where it is mapped into IPv6."""
    address = ip_address(source.rpartition(":")[0].strip("[]"))
    return str(getattr(address, "ipv4_mapped", None) or address)


def bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def service_text(entry: bytes) -> str:
    transport = {knock.TCP: "tcp", knock.UDP: "udp"}[entry[0]]
    return text(transport, int.from_bytes(entry[1:3]), int.from_bytes(entry[3:5]))


def word(allow: bool) -> str:
    return "allow" if allow else "deny"


def altered(at: int, bit: int = 0x01) -> Tamper:
    """Flips bits of one byte; `at` may count from the end."""

    def tamper(whole: bytes) -> bytes:
        changed = bytearray(whole)
        changed[at] ^= bit
        return bytes(changed)

    return tamper
