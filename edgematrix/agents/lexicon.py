"""What people say for one another in any house, as data: `edgematrix/models/shipped/english.toml`."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

import msgspec

from edgematrix.agents.phrase import words_of

__all__ = ["Lexicon", "Rewriter", "Words", "phrases_for"]

_APOSTROPHES: Final = str.maketrans("\u2019\u02bc`", "'''")


class Rewrite(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is said, as a regular expression, and what it is taken for."""

    say: str
    taken_for: str = msgspec.field(name="as")


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Words, with a blank between them, that mean the same: `things` where a house has no word for it, `ways` always.

    `opposites` have a stroke between the two sides. `weak` say little to a sentence that does not have them, `units` may be left out.
    """

    things: tuple[str, ...] = ()
    ways: tuple[str, ...] = ()
    opposites: tuple[str, ...] = ()
    weak: str = ""
    units: str = ""


class Lexicon(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of it: what is always rewritten, what may be meant as well, and runs of words with what they are taken for."""

    rewrites: tuple[Rewrite, ...] = ()
    readings: tuple[Rewrite, ...] = ()
    phrases: dict[str, str] = {}
    words: Words = Words()


class Rewriter:
    """Rewrites what is said. It has no state, and takes time in proportion to the text, which is short."""

    __slots__ = ("_readings", "_rewrites")

    def __init__(self, lexicon: Lexicon) -> None:
        self._rewrites = [(re.compile(rewrite.say.replace("'", "'?")), rewrite.taken_for) for rewrite in lexicon.rewrites]
        self._readings = [(re.compile(rewrite.say.replace("'", "'?")), rewrite.taken_for) for rewrite in lexicon.readings]

    def rewritten(self, text: str) -> str:
        """A text as it is understood: in small letters where anything was rewritten, as it was otherwise."""
        found = text.translate(_APOSTROPHES).casefold()
        plain = found
        for say, taken_for in self._rewrites:
            found = say.sub(taken_for, found)
        return text if found == plain else found.strip(" ,;")

    def readings(self, text: str) -> list[str]:
        """What else a clause may mean."""
        plain = text.translate(_APOSTROPHES).casefold()
        return [say.sub(taken_for, plain) for say, taken_for in self._readings if say.search(plain)]


def phrases_for(phrases: Mapping[str, str], said: Collection[tuple[str, ...]]) -> dict[str, str]:
    """The phrases that a house does not say itself: `said` are the runs of words of its rules and names."""
    texts = [f" {' '.join(words)} " for words in said]
    joined = "\n".join(texts)
    return {phrase: meant for phrase, meant in phrases.items() if f" {' '.join(words_of(phrase))} " not in joined}
