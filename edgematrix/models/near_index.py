"""Which known sentences a text is nearest to, by its words. Runs in a model's process; imports numpy.

Each word of one sentence is matched with the word of the other that is most like it: the share of a text that has a match among the words
of an exemplar, and the share of the exemplar that has one in the text, words that are rare among the exemplars counting for more (as
BERTScore does with vectors in context, Zhang et al., ICLR 2020; here a word has one vector, so that ten thousand exemplars take
milliseconds). Shapes: exemplars are rows of word numbers, padded, (exemplars, words); a text is (words of the text, words known).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

import numpy as np

from edgematrix.models.kinship import Kinship, forms
from edgematrix.models.near_wire import Kin, Match

__all__ = ["NearIndex", "Vectors"]

_ALIKE_MIN: Final = 0.35
"""Cosine below which two words have nothing to do with each other."""
_WORDS_MAX: Final = 24
_SLIP_MIN: Final = 5
"""Letters of a word in which a slip is looked for."""
_NEIGHBOURS: Final = 2
_UNIT_WEIGHT: Final = 0.25
"""What a unit counts, as a share of what it would."""
_WEAK_WEIGHT: Final = 0.05
"""The same of a word that says little, to an exemplar that does not have it."""
_KIN: Final = 0.9
"""How much words are alike that are as good as the same."""
_UNKNOWN_WEIGHT: Final = 0.9
"""What a word counts that no exemplar has, as a share of the rarest word's weight."""
NUMBER: Final = "#"


class Vectors(Protocol):
    """Vectors of words."""

    def vectors(self, words: list[str]) -> Any:
        """One row of length 1 for each word, float32."""

    def alike(self, cosines: Any) -> Any:
        """How much words are alike whose vectors have these cosines: at most 1."""


class NearIndex:
    """Exemplars, to be compared with.

    Args:
        exemplars: their words, with a blank between them.
        groups: a number for each; those of one number count as one match, which is that of the best of them.
        kin: words that are as good as the same, whatever their vectors say.
    """

    def __init__(self, vectors: Vectors, exemplars: Sequence[str], groups: Sequence[int], kin: Kin | None = None) -> None:
        self._vectors = vectors
        self._groups: Any = np.asarray(groups, np.int32)
        rows = [text.split(" ")[:_WORDS_MAX] for text in exemplars]
        self._words = sorted({word for row in rows for word in row})
        self._place = {word: place for place, word in enumerate(self._words)}
        self._kinship = Kinship(kin or Kin(), self._place)
        self._matrix = vectors.vectors(self._words)
        width = max(map(len, rows), default=1)
        nothing = len(self._words)
        self._rows: Any = np.full((len(rows), width), nothing, np.int32)
        for number, row in enumerate(rows):
            self._rows[number, : len(row)] = [self._place[word] for word in row]
        counts = np.bincount(self._rows.ravel(), minlength=nothing + 1)[:nothing]
        weights = np.log1p(len(rows) / np.maximum(counts, 1))
        self._units: Any = np.array([*map(self._kinship.is_unit, self._words), False])
        """Units may be left out where there is a number."""
        self._weights: Any = np.append(weights, 0.0).astype(np.float32)
        self._weights[self._units] *= _UNIT_WEIGHT
        self._heaviest = float(weights.max()) if len(weights) else 1.0
        # one line for each word of an exemplar, (words of an exemplar, exemplars): numpy is quicker along lines than across them
        self._columns: Any = np.ascontiguousarray(self._rows.T)
        self._column_weights: Any = self._weights[self._columns]
        self._need_not: Any = (self._columns == nothing) | self._units[self._columns]
        self._lengths: Any = np.maximum(self._column_weights.sum(axis=0), 1e-6)

    def nearest(self, text: str, count: int) -> list[Match]:
        """The exemplars that are nearest to a text, the nearest first."""
        words = [self._known(word) for word in text.split(" ")[:_WORDS_MAX] if word]
        if not words or not len(self._rows):
            return []
        alike = self._alike(words)
        weights = np.array([self._weight(word) for word in words], np.float32)
        of_columns = alike.take(self._columns, axis=1)  # (words of the text, words of an exemplar, exemplars)
        covered = of_columns.max(axis=1)
        is_weak = [self._kinship.is_weak(word) for word in words]
        if any(is_weak):
            weak = np.array(is_weak)[:, None] & (covered == 0.0)  # for those exemplars that have no such word
            counted = np.where(weak, _WEAK_WEIGHT, np.float32(1.0)) * weights[:, None]
            share = (covered * counted).sum(axis=0) / np.maximum(counted.sum(axis=0), 1e-6)
            covered[weak] = 1.0
        else:
            share = weights @ covered / max(float(weights.sum()), 1e-6)
        had = of_columns.max(axis=0)
        found = (had * self._column_weights).sum(axis=0) / self._lengths
        lacking = np.where(self._need_not, 1.0, had).min(axis=0)
        scores = 2 * share * found / np.maximum(share + found, 1e-6)
        order = np.argsort(-scores, kind="stable")
        _, firsts = np.unique(self._groups[order], return_index=True)
        best = order[np.sort(firsts)[:count]]
        return [
            Match(
                int(row),
                float(scores[row]),
                float(share[row]),
                float(found[row]),
                float(lacking[row]),
                [round(float(c), 3) for c in covered[:, row]],
            )
            for row in best
        ]

    def _alike(self, words: list[str]) -> Any:
        """How much each word is like each that is known, and like none in the last column."""
        cosines = self._vectors.alike(self._vectors.vectors(words) @ self._matrix.T)
        cosines[cosines < _ALIKE_MIN] = 0.0
        for row, word in enumerate(words):
            if word == NUMBER:
                cosines[row] = 0.0
            cosines[row, self._kinship.opposites(word)] = 0.0
            kin = self._kinship.kin(word)
            cosines[row, kin] = np.maximum(cosines[row, kin], _KIN)
            for same in (word, f"{word}s", word.removesuffix("s")):
                if same in self._place:
                    cosines[row, self._place[same]] = 1.0
        if NUMBER in self._place:
            cosines[[word != NUMBER for word in words], self._place[NUMBER]] = 0.0
        return np.append(cosines, np.zeros((len(words), 1), np.float32), axis=1).astype(np.float32)

    def _weight(self, word: str) -> float:
        place = self._place.get(word)
        if place is not None:
            return float(self._weights[place]) / (_UNIT_WEIGHT if self._units[place] else 1.0)
        kin = self._kinship.kin(word)
        return float(self._weights[kin].max()) if kin else self._heaviest * _UNKNOWN_WEIGHT

    def _known(self, word: str) -> str:
        """A word as an exemplar has it: without an ending, or one slip of the tongue away."""
        if word in self._place or word == NUMBER or self._kinship.knows(word):
            return word
        for other in forms(word):
            if other in self._place:
                return other
        if len(word) >= _SLIP_MIN:
            near = [
                known
                for known in self._words
                if known[:1] == word[:1] and abs(len(known) - len(word)) <= 1 and len(known) >= _SLIP_MIN and _is_slip(word, known)
            ]
            if len(near) == 1:
                return near[0]
        return word


def _is_slip(one: str, other: str) -> bool:
    """Whether one letter is missing, added, another, or two neighbours are exchanged."""
    if len(one) == len(other):
        apart = [place for place, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
        if len(apart) == 1:
            return True
        return (
            len(apart) == _NEIGHBOURS and apart[1] == apart[0] + 1 and one[apart[0]] == other[apart[1]] and one[apart[1]] == other[apart[0]]
        )
    short, long = sorted((one, other), key=len)
    return any(long[:place] + long[place + 1 :] == short for place in range(len(long)))
