"""Cuts a talk that is too long: in the middle of its longest message. What the system says is never cut."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from edgematrix.models.talk import Turn

__all__ = ["fitted", "halves", "longest"]


def fitted(turns: tuple[Turn, ...], characters_max: int) -> tuple[tuple[Turn, ...], str]:
    """The talk with at most so many characters, if that can be had, and a note about what was left out, empty if nothing was.

    Of a message that is cut, a quarter of what stays is its beginning, and the rest its end.
    """
    lengths = [len(turn.content) for turn in turns]
    left_out = 0
    while (excess := sum(lengths) - characters_max) > 0:
        place = longest(turns, lengths)
        if place is None or lengths[place] == 0:
            break
        others = max((lengths[other] for other in range(len(turns)) if other != place and turns[other].role != "system"), default=0)
        cut = min(excess, max(lengths[place] - others, (lengths[place] + 1) // 2))
        lengths[place] -= cut
        left_out += cut
    if not left_out:
        return turns, ""
    kept = tuple(turn if len(turn.content) <= length else _cut(turn, length) for turn, length in zip(turns, lengths, strict=True))
    return kept, f"the prompt is too long: {left_out} characters in the middle of it were left out"


def longest(turns: Sequence[Turn], lengths: Sequence[int]) -> int | None:
    """The place of the longest message that may be cut; None if there is none."""
    places = [place for place, turn in enumerate(turns) if turn.role != "system"]
    return max(places, key=lambda place: lengths[place], default=None)


def halves(room: int) -> tuple[int, int]:
    """How much stays of the beginning, and of the end, where there is so much room."""
    return room // 4, room - room // 4


def _cut(turn: Turn, room: int) -> Turn:
    first, last = halves(room)
    return structs.replace(turn, content=turn.content[:first] + (turn.content[-last:] if last else ""))
