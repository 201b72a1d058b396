"""Moments: whole microseconds since 1970-01-01T00:00:00Z inside, RFC 3339 text on the bus."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

__all__ = ["format_moment", "parse_moment"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
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
    text = (_EPOCH + timedelta(microseconds=moment_us)).isoformat()
    return text.removesuffix("+00:00") + "Z"
