"""Words that are as good as the same, or the opposite, as far as some known words go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edgematrix.models.near_wire import Kin

__all__ = ["Kinship", "forms"]


class Kinship:
    """Who is kin to whom.

    Args:
        places: the known words, each with its place.
    """

    __slots__ = ("_opposites", "_places", "_things", "_units", "_ways", "_weak")

    def __init__(self, kin: Kin, places: Mapping[str, int]) -> None:
        self._places = places
        self._things = _of_each(line.split() for line in kin.things)
        self._ways = _of_each(line.split() for line in kin.ways)
        self._weak = frozenset(kin.weak.split())
        self._units = frozenset(kin.units.split())
        self._opposites: dict[str, set[str]] = {}
        for line in kin.opposites:
            one, _, other = line.partition("/")
            for these, those in ((one.split(), other.split()), (other.split(), one.split())):
                for word in these:
                    self._opposites.setdefault(word, set()).update(those)

    def knows(self, word: str) -> bool:
        """Whether it is one of those that have kin, so that it is no slip of another, nor another's form."""
        return word in self._ways or word in self._things or word in self._weak

    def is_weak(self, word: str) -> bool:
        """Whether it says little to a known sentence that does not have it."""
        return word in self._weak

    def is_unit(self, word: str) -> bool:
        """Whether it is what numbers are counted in."""
        return word in self._units

    def kin(self, word: str) -> list[int]:
        """The places of the known words that are as good as the same."""
        found = _looked_up(self._ways, word)
        if not any(other in self._places for other in (word, f"{word}s", word.removesuffix("s"))):
            found = found | _looked_up(self._things, word)
        return self._known(found)

    def opposites(self, word: str) -> list[int]:
        """The places of the known words that mean the opposite."""
        return self._known(self._opposites.get(word, set()))

    def _known(self, words: Iterable[str]) -> list[int]:
        return sorted({self._places[other] for word in words for other in (word, f"{word}s") if other in self._places})


def forms(word: str) -> list[str]:
    """The same word with another ending."""
    found = [f"{word}s", f"{word}es"]
    if word.endswith("s"):
        found += [word[:-1], word[:-2] if word.endswith("es") else word[:-1]]
    if word.endswith("ing"):
        stem = word[:-3]
        found += [stem, f"{stem}e", stem[:-1] if stem[-1:] == stem[-2:-1] else stem]
    if word.endswith("ed"):
        stem = word[:-2]
        found += [stem, f"{stem}e", stem[:-1] if stem[-1:] == stem[-2:-1] else stem]
    return found


def _of_each(lines: Iterable[list[str]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for line in lines:
        for word in line:
            found.setdefault(word, set()).update(line)
    return found


def _looked_up(kin: Mapping[str, set[str]], word: str) -> set[str]:
    """The kin of a word, or of the same with another ending."""
    if word in kin:
        return kin[word]
    return next((kin[other] for other in forms(word) if other in kin), set())
