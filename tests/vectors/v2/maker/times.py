"""When the vectors happen. No clock is read."""

from datetime import datetime, timedelta, timezone

# The server receives every datagram at this moment unless its file says otherwise. The odd
# milliseconds show who rounds.
NOW_MS = 1_782_907_200_250
NOW = datetime.fromtimestamp(NOW_MS // 1000, timezone.utc)  # 2026-07-01T12:00:00Z

WINDOW_MS = 7000
GRACE_S = 168 * 3600

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
LEAF_FROM, LEAF_UNTIL = NOW - 180 * DAY, NOW + 3650 * DAY
# past 2049, so that the date is a GeneralizedTime
AUTHORITY_FROM, AUTHORITY_UNTIL = NOW - 181 * DAY, NOW + 10_000 * DAY


def millis(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000
