"""Durations as users write them, kept as whole microseconds (docs/spec/triggers.md, "A group")."""

from __future__ import annotations

import math
import re

__all__ = ["SECOND_US", "format_duration", "parse_duration"]

SECOND_US = 1_000_000
_UNITS_US = {"d": 86_400 * SECOND_US, "h": 3_600 * SECOND_US, "m": 60 * SECOND_US, "s": SECOND_US, "ms": 1_000}
_TEXT = re.compile(r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_MAX_US = 100 * 366 * _UNITS_US["d"]


def parse_duration(value: float | str) -> int:
    """Read a number of seconds, or text such as `500ms`, `2s`, `5m`, `1h30m`, `1d`, as microseconds.

    Raises:
        ValueError: it is none of these, is negative, or is over a hundred years.
    """
    if isinstance(value, bool):
        raise ValueError("expected a duration, found true or false")
    if isinstance(value, (int, float)):
        if not math.isfinite(value) or value < 0:
            raise ValueError(f"a duration is a number of seconds >= 0, found {value!r}")
        total = value * SECOND_US
    else:
        match = _TEXT.fullmatch(value.strip())
        if match is None or not any(match.groups()):
            raise ValueError(f"expected a duration such as 500ms, 2s, 5m, 1h30m or 1d, found {value!r}")
        total = sum(float(number) * unit for number, unit in zip(match.groups(), _UNITS_US.values(), strict=True) if number)
    if total > _MAX_US:
        raise ValueError(f"the duration {value!r} is over a hundred years")
    return round(total)


def format_duration(duration_us: int) -> str:
    """Write microseconds as users do: `1h30m`, `2s`, `500ms`."""
    if duration_us == 0:
        return "0s"
    parts: list[str] = []
    rest = duration_us
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(rest, _UNITS_US[unit])
        if count:
            parts.append(f"{count}{unit}")
    if rest:
        parts.append(f"{rest / 1_000:g}ms")
    return "".join(parts)
