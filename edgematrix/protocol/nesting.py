"""How deep a value nests, and how many values are in it: what a loop could grow without end."""

from __future__ import annotations

__all__ = ["outgrows"]


def outgrows(value: object, depth_max: int, parts_max: int) -> str:
    """Which bound a value is beyond, `depth` or `parts`; the empty text where it is within both.

    It looks no deeper, and at no more, than that itself, so whatever comes in is no danger to it.

    Args:
        depth_max: how deep arrays and objects may nest; what is neither nests 0 levels deep.
        parts_max: how many values they may hold altogether. One that stands in several places counts in each.
    """
    kind = type(value)
    if kind is dict:
        parts = value.values()  # type: ignore[attr-defined]  # `kind` tells
    elif kind is list or kind is tuple:
        parts = value
    else:
        return ""
    if depth_max <= 0:
        return "depth"
    left = parts_max - len(parts)
    if left < 0:
        return "parts"
    room: list[int] | None = None
    for part in parts:
        kind = type(part)
        if kind is dict or kind is list or kind is tuple:
            if room is None:
                room = [left]
            beyond = _walk(part, depth_max - 1, room)
            if beyond:
                return beyond
    return ""


def _walk(value: object, depth_max: int, room: list[int]) -> str:
    """The same of an array or an object in it. `room` has how many values there may be still."""
    if depth_max <= 0:
        return "depth"
    room[0] -= len(value)  # type: ignore[arg-type]  # whoever calls knows
    if room[0] < 0:
        return "parts"
    for part in value.values() if type(value) is dict else value:  # type: ignore[attr-defined]
        kind = type(part)
        if (kind is dict or kind is list or kind is tuple) and (beyond := _walk(part, depth_max - 1, room)):
            return beyond
    return ""
