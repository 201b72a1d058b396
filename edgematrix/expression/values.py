"""Values between JSON, the scope and CEL, and how a value is written into a text."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from edgematrix.errors import CodecError, ExpressionError
from edgematrix.protocol.codec import encode_value
from edgematrix.protocol.moment import format_moment

__all__ = ["INT_LEAST", "INT_MOST", "Extent", "Timestamp", "admit", "finished", "to_datetime", "written"]

INT_LEAST, INT_MOST = -(2**63), 2**64 - 1
"""What a whole number in CEL holds: int64, and uint64 above it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_WHOLE_TEXT_MAX = 1e15
_NO_DATE = "the moment is before the year 1 or after the year 9999"
_DEPTH_MAX = 64


class Timestamp(int):
    """Microseconds since the epoch that CEL sees as a timestamp (`now - temp.time > duration("5m")`)."""

    __slots__ = ()


class Extent:
    """How large the values are that an evaluation reads: `weight` is elements and characters, `longest` the longest list or object."""

    __slots__ = ("longest", "weight")

    def __init__(self) -> None:
        self.weight = 0
        self.longest = 0


def admit(value: object, extent: Extent, depth: int = 0) -> object:
    """Check a value before the CEL library reads it, and add to `extent`.

    The library's wrapper cuts text and bytes at a NUL, so these are refused.

    Raises:
        ExpressionError: it holds NUL, a whole number beyond 64 bits, a moment without a date, or nests too deeply.
    """
    kind = type(value)
    if kind is bool or kind is float or value is None:
        extent.weight += 1
    elif kind is int:
        extent.weight += 1
        if not INT_LEAST <= value <= INT_MOST:  # type: ignore[operator]  # kind is int
            raise ExpressionError("a whole number is beyond 64 bits, which CEL cannot hold")
    elif kind is str or kind is bytes:
        extent.weight += len(value)  # type: ignore[arg-type]  # kind has a length
        if ("\0" if kind is str else b"\0") in value:  # type: ignore[operator]  # kind is str or bytes
            raise ExpressionError("a text or bytes with NUL cannot be judged by CEL")
    elif isinstance(value, Timestamp):
        return _moment(value)
    elif depth > _DEPTH_MAX:
        raise ExpressionError(f"a value nests deeper than {_DEPTH_MAX}")
    elif isinstance(value, (list, tuple)):
        _grow(extent, len(value))
        return [admit(part, extent, depth + 1) for part in value]
    elif isinstance(value, Mapping):
        _grow(extent, len(value))
        return {admit(key, extent, depth + 1): admit(part, extent, depth + 1) for key, part in value.items()}
    return value


def finished(value: object) -> object:
    """Bring what an expression gave into JSON's types: timestamps as RFC 3339 text, durations as CEL's text (`90s`).

    Raises:
        ExpressionError: it has no JSON form.
    """
    kind = type(value)
    if value is None or kind is bool or kind is str or kind is int or kind is bytes:
        return value
    if kind is float:
        if value - value != 0.0:  # type: ignore[operator]  # kind is float
            raise ExpressionError(f"{value} is no JSON number")
        return value
    if isinstance(value, (list, tuple)):
        return [finished(part) for part in value]
    if isinstance(value, Mapping):
        return {_key(key): finished(part) for key, part in value.items()}
    return _text_of(value)


def written(value: object) -> str:
    """Write a finished value into a text: text as it is, whole numbers without `.0`, the rest as JSON.

    Raises:
        ExpressionError: it holds bytes, which no text can.
    """
    if type(value) is str:
        return value
    if type(value) is float and value.is_integer() and abs(value) < _WHOLE_TEXT_MAX:
        return str(int(value))
    if type(value) is bytes:
        raise ExpressionError("bytes cannot be written into a text")
    try:
        return encode_value(value).decode()
    except CodecError as error:
        raise ExpressionError(error.what) from None


def to_datetime(moment_us: int) -> datetime:
    """A moment as CEL's wrapper takes it.

    Raises:
        ExpressionError: no calendar reaches so far.
    """
    try:
        return _EPOCH + moment_us * _MICROSECOND
    except OverflowError:
        raise ExpressionError(_NO_DATE) from None


def _moment(moment_us: int) -> str:
    try:
        return format_moment(moment_us)
    except OverflowError:
        raise ExpressionError(_NO_DATE) from None


def _grow(extent: Extent, length: int) -> None:
    extent.weight += length
    extent.longest = max(extent.longest, length)


def _key(key: object) -> str:
    if type(key) is bool:
        return "true" if key else "false"
    return key if type(key) is str else str(key)


def _text_of(value: object) -> str:
    if isinstance(value, Timestamp):
        return _moment(value)
    if isinstance(value, datetime):
        return format_moment((value - _EPOCH) // _MICROSECOND)
    if not isinstance(value, timedelta):
        raise ExpressionError(f"a {type(value).__name__.lower()} has no JSON form")
    seconds, rest_us = divmod(abs(value) // _MICROSECOND, 1_000_000)
    sign = "-" if value < timedelta() else ""
    return f"{sign}{seconds}s" if not rest_us else f"{sign}{seconds}.{rest_us:06}".rstrip("0") + "s"
