"""The tag of a knock: the first four bytes of its nonce. See docs/PROTOCOL.md."""

import hmac

from . import hpke, keys

NONCE, TAG = 12, 4
EPOCH_MS = 64_000
TAGS, LOW_TAGS = 4096, 64
FAR_MS = 3_600_000


def epoch(stamp: int) -> int:
    return stamp // EPOCH_MS


def key(server_id: bytes) -> bytes:
    return hpke.expand(hpke.extract(b"", server_id), b"sknock v2 tag", 32)


def full(server_id: bytes, of_epoch: int, index: int) -> bytes:
    """The HMAC whose beginning is the tag."""
    return hmac.digest(key(server_id), of_epoch.to_bytes(8) + index.to_bytes(2), "sha256")


def make(server_id: bytes, of_epoch: int, index: int) -> bytes:
    return full(server_id, of_epoch, index)[:TAG]


def seeded_index(name: str) -> int:
    """In place of a client's random one: it follows from the name of the case."""
    return int.from_bytes(keys.seeded(f"{name}, index", 2)) % TAGS
