"""How deep a value nests."""

from __future__ import annotations

__all__ = ["nests_beyond"]


def nests_beyond(value: object, depth_max: int) -> bool:
    """Whether arrays and objects nest deeper than `depth_max` in a value; of what is neither, 0 levels do.

    It looks no deeper than that itself, so whatever comes in is no danger to it.
    """
    kind = type(value)
    if kind is dict:
        parts = value.values()  # type: ignore[attr-defined]  # `kind` tells
    elif kind is list or kind is tuple:
        parts = value
    else:
        return False
    if depth_max <= 0:
        return True
    below = depth_max - 1
    for part in parts:
        kind = type(part)
        if (kind is dict or kind is list or kind is tuple) and nests_beyond(part, below):
            return True
    return False
