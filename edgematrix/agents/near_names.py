"""What the things of a house are called, as it is compared: whom a word may name, and whom it does."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from functools import cached_property
from typing import Final

from edgematrix.agents.alike import Alike
from edgematrix.agents.exemplars import Exemplar
from edgematrix.agents.heard import Names
from edgematrix.agents.sentences import Sentences
from edgematrix.agents.spoken_words import spoken
from edgematrix.protocol.path import AgentPath

__all__ = ["NearNames", "stem"]

_STEM_MIN: Final = 3
_SEGMENT: Final = re.compile(r"[a-z]+")
_ANYBODY: Final = frozenset({"one", "other"})
"""Words for who was named before, of which nobody has the name."""


def stem(word: str) -> str:
    """A word without the ending of several."""
    return word[:-1] if len(word) > _STEM_MIN and word.endswith("s") and not word.endswith("ss") else word


class NearNames:
    """The names of all slots that choose whom a command goes to, the longest first. It has no state but what it has worked out."""

    def __init__(self, sentences: Sentences, alike: Alike, exemplars: Sequence[Exemplar]) -> None:
        self._sentences = sentences
        self._alike = alike
        self._exemplars = exemplars
        self._mentions = _mentions(sentences, alike)
        self.naming: frozenset[str] = frozenset(word for name in self._mentions for word in name)
        """Words of names."""
        only_naming = self.naming - {stem(word) for exemplar in exemplars for word in exemplar.wanting}
        self.known: frozenset[str] = frozenset(stem(word) for exemplar in exemplars for word in exemplar.words)
        """Words of what the rules know."""
        self.places: frozenset[str] = frozenset(
            word for path, _ in sentences.wires for segment in str(path).split("/")[1:-1] for word in _SEGMENT.findall(segment)
        )
        """Words of who has agents of its own, such as a room."""
        self.telling: frozenset[str] = only_naming | (self.places & self.naming)
        """Words that name something whatever stands around them."""
        self._called: dict[AgentPath, list[frozenset[str]]] | None = None

    def named(self, words: Sequence[str]) -> list[tuple[str, ...]]:
        """The names of things that are in these words, the longest first, and none that is a part of another."""
        there = {stem(word): word for word in words}
        kept: list[tuple[str, ...]] = []
        for name in self._mentions:
            said = tuple(there[word] for word in name if word in there)
            if len(said) == len(name) and not any(set(said) <= set(other) for other in kept):
                kept.append(said)
        return kept

    def are_names(self, words: Iterable[str]) -> bool:
        """Whether all of these are words of names."""
        return self.naming.issuperset(map(stem, words))

    def name_at(self, text: str) -> tuple[frozenset[str], str]:
        """The words of names that a text begins with, and what stands behind them; nothing where none does."""
        words = text.split()
        for count in range(len(words), 0, -1):
            said = [stem(word) for word in spoken(" ".join(words[:count]), self._alike).words]
            kept = frozenset(said) - _ANYBODY
            if kept and all(word in self.naming or word in self.places or self._is_called(word) for word in kept):
                return kept, " ".join(words[count:])
        return frozenset(), text

    def is_called(self, path: AgentPath, words: Collection[str]) -> bool:
        """Whether an agent may be named with these words."""
        return any(name.issuperset(words) for name in self._names_of_all().get(path, ()))

    @cached_property
    def nouns(self) -> frozenset[str]:
        """Words of names and of paths, and those that rules name somebody with who has no slot: "the front door"."""
        segments = {word for path, _ in self._sentences.wires for word in _SEGMENT.findall(str(path))}
        literal = {stem(word) for exemplar in self._exemplars if not exemplar.names for word in spoken(exemplar.said, self._alike).nouns}
        return self.naming | segments | literal

    def others_called(self, path: AgentPath, words: Collection[str]) -> bool:
        """Whether an agent of another path may be named with these words, too. A room alone names nobody."""
        return bool(set(words) - self.places - {"room"}) and any(
            other != path and self.is_called(other, words) for other in self._names_of_all()
        )

    def _is_called(self, word: str) -> bool:
        return any(word in name for names in self._names_of_all().values() for name in names)

    def _names_of_all(self) -> dict[AgentPath, list[frozenset[str]]]:
        if self._called is None:
            found: dict[AgentPath, set[frozenset[str]]] = {}
            for exemplar in self._exemplars:
                said = {stem(word) for word in exemplar.words}
                for path in self._sentences.receivers(exemplar.pattern, exemplar.names):
                    own = {word for segment in str(path).split("/")[1:] for word in _SEGMENT.findall(segment)}
                    found.setdefault(path, set()).add(frozenset((said & self.naming if exemplar.names else said) | own))
            self._called = {path: list(names) for path, names in found.items()}
        return self._called


def _mentions(sentences: Sentences, alike: Alike) -> list[tuple[str, ...]]:
    found = {
        tuple(map(stem, spoken(" ".join(words), alike).words))
        for name, slot in sentences.slots.items()
        if isinstance(slot, Names) and name in sentences.naming
        for words in slot.spoken
    }
    return sorted((name for name in found if name), key=lambda name: (-len(name), name))
