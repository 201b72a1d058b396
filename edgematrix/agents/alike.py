"""Words that mean the same in one house: each is taken for the other before anything is compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgematrix.agents.phrase import words_of
from edgematrix.errors import ExpressionError

__all__ = ["Alike"]


class Alike:
    """What each run of words is taken for; of two that begin at the same word the longer one counts.

    Raises:
        ExpressionError: one of them has no word; `where` names it.
    """

    __slots__ = ("_by_first",)

    def __init__(self, taken_for: Mapping[str, str]) -> None:
        self._by_first: dict[str, list[tuple[tuple[str, ...], tuple[str, ...]]]] = {}
        for said, meant in taken_for.items():
            one, other = tuple(words_of(said)), tuple(words_of(meant))
            if not one or not other:
                raise ExpressionError(f"{said!r} or {meant!r} has no word in it", where="near.alike")
            self._by_first.setdefault(one[0], []).append((one, other))
        for found in self._by_first.values():
            found.sort(key=lambda pair: -len(pair[0]))

    def levelled(self, words: Sequence[str]) -> list[str]:
        """The words as they are compared. What a word is taken for is not looked at again."""
        found: list[str] = []
        place = 0
        while place < len(words):
            for said, meant in self._by_first.get(words[place], ()):
                if tuple(words[place : place + len(said)]) == said:
                    found.extend(meant)
                    place += len(said)
                    break
            else:
                found.append(words[place])
                place += 1
        return found
