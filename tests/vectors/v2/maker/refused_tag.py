"""Refused before the veil: no tag, or one that is not accepted now."""

from . import knock, tag, times
from .case import Case

SERVER_A = knock.sid(knock.keys.private("server-a", "p256"))
NOW = tag.epoch(times.NOW_MS)
FIRST, LAST = tag.epoch(times.NOW_MS - tag.FAR_MS), tag.epoch(times.NOW_MS + tag.FAR_MS)


def not_tagged() -> list[Case]:
    return foreign() + of_other_times() + miscomputed()


def foreign() -> list[Case]:
    return [
        Case(
            "random",
            "Random bytes of the right length.",
            datagram=lambda made: knock.keys.seeded("junk", len(made)),
        ),
        Case("zeros", "Zero bytes of the right length.", datagram=lambda made: bytes(len(made))),
        Case("tag-of-another-server", "All but the tag is for server A.", tagged_for="server-b", index=0),
        Case(
            "whole-knock-for-another-server",
            "A knock for server B, sent to server A.",
            tagged_for="server-b",
            veiled_for="server-b",
            encrypted_to="server-b",
            info_for="server-b",
            signed_for="server-b",
        ),
        Case(
            "order-before-veil",
            "Also the veil is another server's.",
            tagged_for="server-b",
            veiled_for="server-b",
        ),
    ]


def of_other_times() -> list[Case]:
    """The window is 7 s but where said, so all tags of this epoch and the one before are accepted."""
    stale = {"stamp": times.NOW_MS - 129_000}
    return [
        Case("high-index-of-an-older-epoch", "Two epochs ago.", epoch=NOW - 2, index=tag.LOW_TAGS),
        Case("high-index-of-the-next-epoch", "The window ends before it.", epoch=NOW + 1, index=tag.LOW_TAGS),
        Case("low-index-too-old", "The last low tag before the hour.", epoch=FIRST - 1, index=0),
        Case("low-index-too-new", "The first low tag after the hour.", epoch=LAST + 1, index=0),
        Case(
            "clock-wrong-by-more-than-an-hour",
            "An honest client's last attempt; its clock is 3664 s behind.",
            fields={"stamp": times.NOW_MS - tag.FAR_MS - tag.EPOCH_MS},
            index=63,
        ),
        Case(
            "high-index-in-a-long-window",
            "The window is an hour and the stamp is within it, but more than 128 s old: only low tags.",
            window_ms=tag.FAR_MS,
            fields=stale,
            index=tag.LOW_TAGS,
        ),
        Case(
            "high-index-ahead-in-a-long-window",
            "The same, ahead: the third epoch after this one.",
            window_ms=tag.FAR_MS,
            fields={"stamp": times.NOW_MS + 192_000},
            index=tag.TAGS - 1,
        ),
    ]


def miscomputed() -> list[Case]:
    def whole(made: bytes) -> bytes:
        return tag.full(SERVER_A, NOW, 300)

    return [
        Case("index-4096", "There are 4096 tags: this is none.", index=tag.TAGS),
        Case("index-ffff", "The largest index that 16 bits can have.", index=0xFFFF),
        Case("last-bytes", "The last four bytes of the HMAC.", index=300, tag=lambda made: whole(made)[-4:]),
        Case("bytes-reversed", "The four bytes in the other order.", index=300, tag=lambda made: made[::-1]),
        Case(
            "integers-little-endian",
            "Epoch and index are little-endian.",
            index=300,
            tag=lambda made: tag.hmac.digest(
                tag.key(SERVER_A), NOW.to_bytes(8, "little") + (300).to_bytes(2, "little"), "sha256"
            )[: tag.TAG],
        ),
        Case(
            "key-of-the-veil",
            "Made with the key of the veil.",
            index=300,
            tag=lambda made: tag.hmac.digest(
                knock.veil_key(SERVER_A), NOW.to_bytes(8) + (300).to_bytes(2), "sha256"
            )[: tag.TAG],
        ),
        Case("epoch-of-minutes", "Epochs of 60 s.", epoch=times.NOW_MS // 60_000, index=0),
    ]
