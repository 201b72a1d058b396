"""Moments: whole microseconds since 1970-01-01T00:00:00Z inside, RFC 3339 text on the bus."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

__all__ = ["format_moment", "parse_moment"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND_US = 1_000_000
_SECONDS_KNOWN = 16
_DAYS_KNOWN = 4
_DAY_S = 86_400
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
    day, of_day = divmod(second, _DAY_S)
    minutes, seconds = divmod(of_day, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{_date(day)}T{hours:02d}:{minutes:02d}:{seconds:02d}"


@lru_cache(_DAYS_KNOWN)
def _date(day: int) -> str:
    """The text of a day, counted from the epoch."""
    return (_EPOCH + timedelta(days=day)).date().isoformat()
