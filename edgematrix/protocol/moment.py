"""Moments: whole microseconds since 1970-01-01T00:00:00Z inside, RFC 3339 text on the bus."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

__all__ = ["format_moment", "parse_moment"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND_US = 1_000_000
_SECONDS_KNOWN = 16
_MICROSECOND = timedelta(microseconds=1)


def parse_moment(text: str) -> int:
    """Read RFC 3339 text with an offset as microseconds since the epoch.

    Raises:
        ValueError: it is no such text, or has no offset.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"the time {text[:40]!r} has no offset such as Z or +01:00")
    return (moment - _EPOCH) // _MICROSECOND


def format_moment(moment_us: int) -> str:
    """Write microseconds since the epoch as RFC 3339 text in UTC, such as `2026-01-01T00:00:05Z`."""
    second, rest_us = divmod(moment_us, _SECOND_US)
    return f"{_whole(second)}.{rest_us:06d}Z" if rest_us else f"{_whole(second)}Z"


@lru_cache(_SECONDS_KNOWN)
def _whole(second: int) -> str:
    """The text of a whole second: of those of one moment there are many."""
    return (_EPOCH + timedelta(seconds=second)).isoformat().removesuffix("+00:00")
