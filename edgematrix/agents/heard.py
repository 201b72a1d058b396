"""Reading a sentence against a pattern: every way to read it, in time bounded by the sizes of both."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from edgematrix.agents.phrase import Choice, Node, Run, Slot, Word, words_of
from edgematrix.errors import ExpressionError

__all__ = ["READINGS_MAX", "Names", "Numbers", "Reading", "TooManyReadings", "readings"]

READINGS_MAX = 64
_STEP_ERROR = 1e-6
"""Ways to read one stretch of a sentence; beyond it nobody can be sure of any."""

_NUMBER = re.compile(r"-?[0-9]{1,9}(?:[.,][0-9]{1,3})?")

Reading: TypeAlias = tuple[tuple[str, int | float], ...]
"""For each slot that was filled: which of its names (its position), or the number itself."""
_Ends: TypeAlias = set[tuple[int, Reading]]


class TooManyReadings(Exception):  # noqa: N818  an outcome, caught by whoever hears
    """The sentence can be read in more ways than are followed."""


class _Step:
    """A place in the tree of spoken names: the words that may follow, and the name that ends here."""

    __slots__ = ("following", "position")

    def __init__(self) -> None:
        self.following: dict[str, _Step] = {}
        self.position: int | None = None


class Names:
    """The spoken names of a slot.

    Raises:
        ExpressionError: a name has no word, or two names sound the same and mean different values.
    """

    __slots__ = ("_root", "spoken", "values")

    def __init__(self, spoken: Mapping[str, object]) -> None:
        self.values = list(spoken.values())
        self.spoken = [words_of(name) for name in spoken]
        """The words of each name."""
        self._root = _Step()
        for position, name in enumerate(spoken):
            words = self.spoken[position]
            if not words:
                raise ExpressionError(f"the name {name!r} has no word in it")
            step = self._root
            for word in words:
                step = step.following.setdefault(word, _Step())
            if step.position is None:
                step.position = position
            elif self.values[step.position] != self.values[position]:
                raise ExpressionError(f"the name {name!r} sounds like another one that means something else")

    def first_words(self) -> Sequence[str]:
        """The words that a name may begin with."""
        return list(self._root.following)

    def ends(self, words: Sequence[str], start: int) -> list[tuple[int, int | float]]:
        """Where a name that begins at `start` may end, each with its position."""
        found: list[tuple[int, int | float]] = []
        step = self._root
        for end in range(start, len(words)):
            following = step.following.get(words[end])
            if following is None:
                break
            step = following
            if step.position is not None:
                found.append((end + 1, step.position))
        return found


class Numbers:
    """Numbers from `least` to `most`, in digits: whole ones, or multiples of `step`.

    Raises:
        ExpressionError: there is none between the two, or the step is none.
    """

    __slots__ = ("least", "most", "step")

    def __init__(self, least: float, most: float, step: float = 1) -> None:
        if least > most:
            raise ExpressionError(f"there is no number from {least:g} to {most:g}")
        if step <= 0 or (step == 1 and (least != int(least) or most != int(most))):
            raise ExpressionError(f"whole numbers are not from {least:g} to {most:g}", remedy="[least, most, step] has another step")
        self.least = least
        self.most = most
        self.step = step

    def first_words(self) -> None:
        """Any word may be a number, for all that is known before it is read."""

    def ends(self, words: Sequence[str], start: int) -> list[tuple[int, int | float]]:
        """The number at `start`, if there is one within the bounds."""
        if start >= len(words) or _NUMBER.fullmatch(words[start]) is None:
            return []
        number = self.fitted(float(words[start].replace(",", ".")))
        return [] if number is None else [(start + 1, number)]

    def fitted(self, number: float) -> int | float | None:
        """A number as it is given on: a whole one is an int. None where it is none of these."""
        if not self.least <= number <= self.most:
            return None
        steps = number / self.step
        if abs(steps - round(steps)) > _STEP_ERROR:
            return None
        return int(number) if number == int(number) else number


def readings(node: Node, words: Sequence[str], slots: Mapping[str, Names | Numbers]) -> list[Reading]:
    """Every way in which the whole of `words` meets the pattern.

    Raises:
        TooManyReadings: there are more than `READINGS_MAX` for one stretch.
    """
    found = _Hearing(words, slots).ends(node, 0)
    return sorted(reading for end, reading in found if end == len(words))


class _Hearing:
    def __init__(self, words: Sequence[str], slots: Mapping[str, Names | Numbers]) -> None:
        self.words = words
        self.slots = slots
        self.known: dict[tuple[int, int], _Ends] = {}

    def ends(self, node: Node, start: int) -> _Ends:
        if isinstance(node, Word):
            return {(start + 1, ())} if start < len(self.words) and self.words[start] == node.text else set()
        key = (id(node), start)
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = self._look(node, start)
        return found

    def _look(self, node: Slot | Run | Choice, start: int) -> _Ends:
        if isinstance(node, Slot):
            return {(end, ((node.name, which),)) for end, which in self.slots[node.name].ends(self.words, start)}
        if isinstance(node, Choice):
            return _bounded(set().union(*[self.ends(part, start) for part in node.parts]))
        found: _Ends = {(start, ())}
        for part in node.parts:
            found = _bounded({(end, before + after) for middle, before in found for end, after in self.ends(part, middle)})
        return found


def _bounded(ends: _Ends) -> _Ends:
    if len(ends) > READINGS_MAX:
        raise TooManyReadings
    return ends
