"""Values cut to a bound, so that what is remembered of a run keeps no large payload alive."""

from __future__ import annotations

from typing import Final

from edgematrix.errors import CodecError
from edgematrix.protocol.codec import encode_value

__all__ = ["abridged", "extent", "shortened"]

_SCALAR_EXTENT: Final = 8
_NO_JSON: Final = 1 << 30
"""The extent of what is no JSON: more than any bound, so that it is kept as a text."""


def abridged(value: object, length_max: int) -> object:
    """The value itself if it is small, else the beginning of its text; bytes by their number.

    Args:
        length_max: characters, about.
    """
    kind = type(value)
    if kind is int or kind is bool or kind is float or value is None:
        return value
    if kind is bytes:
        return f"({len(value)} bytes)"  # type: ignore[arg-type]  # just looked at
    if isinstance(value, str):
        return shortened(value, length_max)
    if extent(value, length_max) <= length_max:
        return value
    try:
        text = encode_value(value).decode()
    except CodecError:
        text = repr(value)
    return shortened(text, length_max)


def extent(value: object, enough: int) -> int:
    """About how many characters a value takes as JSON; counting stops beyond `enough`."""
    size = 0
    waiting = [value]
    while waiting:
        part = waiting.pop()
        kind = type(part)
        if kind is str:
            size += len(part) + 3  # type: ignore[arg-type]  # just looked at
        elif kind is dict:
            size += 2 * len(part)  # type: ignore[arg-type]
            if size > enough:
                return size
            waiting.extend(part)  # type: ignore[call-overload]
            waiting.extend(part.values())  # type: ignore[attr-defined]
        elif kind is list or kind is tuple:
            size += 2 * len(part)  # type: ignore[arg-type]
            if size > enough:
                return size
            waiting.extend(part)  # type: ignore[call-overload]
        elif kind is int or kind is float or kind is bool or part is None:
            size += _SCALAR_EXTENT
        elif kind is bytes:
            size += len(part)  # type: ignore[arg-type]
        else:
            return _NO_JSON
        if size > enough:
            return size
    return size


def shortened(text: str, length_max: int) -> str:
    """`text`, cut with a mark if it is longer."""
    return text if len(text) <= length_max else text[: length_max - 1] + "…"
