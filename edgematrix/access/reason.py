"""Why something is granted, in few words: what stands beside a grant in a list that a person reads."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["shortened"]

_LENGTH_MAX = 160


def shortened(reasons: Sequence[str]) -> str:
    """The first reason, and how many more there are; one line without control characters, at most 160 characters long."""
    if not reasons:
        return ""
    more = f", and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    text = "".join(character if character.isprintable() else "?" for character in reasons[0])
    room = _LENGTH_MAX - len(more)
    return f"{text if len(text) <= room else text[: room - 1] + '…'}{more}"
