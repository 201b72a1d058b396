"""Values cut to a bound, so that what is remembered of a run keeps no large payload alive."""

from __future__ import annotations

from typing import Any, Final

from edgematrix.errors import CodecError
from edgematrix.protocol.codec import encode_value

__all__ = ["abridged", "extent", "in_words", "shortened"]

_SCALAR_EXTENT: Final = 8
_SHOWN_MAX: Final = 300
"""Characters of a large array or object: making more of its text costs more than the step that it is of."""
_ITEM_EXTENT_MIN: Final = 10
"""What an item of a list is taken for at least, so that a long list is not counted through."""
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
    shown_max = min(length_max, _SHOWN_MAX)
    try:
        text = encode_value(_beginning(value, [shown_max])).decode()
    except (CodecError, RecursionError):
        text = in_words(value)[: shown_max + 1]
    return shortened(text + "…", shown_max)


def in_words(value: object) -> str:
    """What Python says of a value that has no JSON form, whatever that is."""
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001 - whatever an object of an agent's code does
        return f"(a value that cannot be shown: {type(error).__name__})"


def _beginning(value: Any, room: list[int]) -> object:
    """As much of a value as fills the room, so that a large one costs no more than its beginning. `room` holds what is left."""
    kind = type(value)
    if kind is str:
        room[0] -= len(value)
        return value[: max(room[0] + len(value), 1)]
    room[0] -= _SCALAR_EXTENT
    if kind is dict:
        kept: dict[object, object] = {}
        for key, part in value.items():
            if room[0] <= 0:
                break
            room[0] -= len(str(key))
            kept[key] = _beginning(part, room)
        return kept
    if kind is list or kind is tuple:
        parts: list[object] = []
        for part in value:
            if room[0] <= 0:
                break
            parts.append(_beginning(part, room))
        return parts
    return value


def extent(value: object, enough: int) -> int:
    """About how many characters a value takes as JSON; counting stops beyond `enough`."""
    size = 0
    waiting: list[Any] = [value]
    while waiting:
        part = waiting.pop()
        kind = type(part)
        if kind is str:
            size += len(part) + 3
        elif kind is dict:
            size += 2 * len(part)
            if size > enough:
                return size
            waiting.extend(part)
            waiting.extend(part.values())
        elif kind is list or kind is tuple:
            size += _ITEM_EXTENT_MIN * len(part)
            if size > enough:
                return size
            waiting.extend(part)
        elif kind is int or kind is float or kind is bool or part is None:
            size += _SCALAR_EXTENT
        elif kind is bytes:
            size += len(part)
        else:
            return _NO_JSON
        if size > enough:
            return size
    return size


def shortened(text: str, length_max: int) -> str:
    """`text`, cut with a mark if it is longer."""
    return text if len(text) <= length_max else text[: length_max - 1] + "…"
