"""Values and moments in a form for people."""

from __future__ import annotations

import json
from datetime import datetime, tzinfo

import msgspec

from edgematrix.cli.console import plain, shorten
from edgematrix.protocol.duration import SECOND_US

__all__ = ["VALUE_LENGTH_MAX", "clock_time", "json_text", "value_text"]

VALUE_LENGTH_MAX = 200

_encode = msgspec.json.Encoder(decimal_format="number").encode


def clock_time(at_us: int, zone: tzinfo | None = None) -> str:
    """The time of day in `zone`, by default where this process runs, with milliseconds."""
    return datetime.fromtimestamp(at_us / SECOND_US, zone).strftime("%H:%M:%S.%f")[:-3]


def value_text(value: object, length_max: int = VALUE_LENGTH_MAX) -> str:
    """A value as JSON on one line, cut if it is long; bytes by their number."""
    if isinstance(value, bytes):
        return f"({len(value)} bytes)"
    return plain(shorten(json_text(value), length_max))


def json_text(value: object) -> str:
    """A value as JSON. What events may hold and msgspec does not write (whole numbers beyond 64 bits, lone surrogates) is written too."""
    try:
        return _encode(value).decode()
    except (TypeError, ValueError, OverflowError, RecursionError):
        return json.dumps(value, separators=(",", ":"), default=repr)
