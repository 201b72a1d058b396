"""Words and sentences by an encoder of texts, alike as word vectors say it. Runs in a model's process; imports numpy.

A word's vector is that of the word as a text of its own. Encoders differ in how alike unrelated texts are to them: one tells 0.2 of any two
words, another 0.8. So what all words have in common is taken away (Mu and Viswanath, ICLR 2018, do so with word vectors), and cosines are
brought to the scale of those for which the confidence was fitted: as many pairs of unrelated words are as alike there as here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from edgematrix.models.encoder import Encoder

__all__ = ["EncodedSentences", "EncodedWords"]

_TEXT: Final = """
time year people way day thing life child world school country problem hand place case week company system question work government
number night point water mother money story month study book word business side kind head service friend power hour game line member law
car city name team minute idea body parent face level door health person art war history party result change morning reason research
moment air teacher force foot boy age policy music market sense nation plan college interest death effect class control field
development role effort rate heart drug show leader light voice wife police mind price report decision son view relation town road arm
difference value building action season society tax director position player record paper space ground form event official matter center
couple site project hair
"""
_UNRELATED: Final = _TEXT.split()
_SHARE: Final = 0.99
"""Of pairs of these words; as alike as that are the others at most."""
_ALIKE_AT: Final = 0.214
"""How alike they are by the vectors of wordllama, taken in the same way: for these `near` was made."""
_ALIKE_AT_MAX: Final = 0.95
_WORDS_MAX: Final = 20_000
"""Words whose vectors are kept."""
_SENTENCES_MAX: Final = 20_000
_SAMPLE: Final = 64
"""Known sentences by which it is found how alike any two of them are."""
_NUMBER: Final = ("#", "20")
"""What stands for a number in what is compared, and what an encoder reads instead."""


class EncodedWords:
    """Vectors of single words, of length 1, without what all words have in common."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        found = encoder.vectors(_UNRELATED)
        self._common: Any = found.mean(axis=0)
        self._known: dict[str, Any] = {}
        apart = self._own(found)
        pairs = (apart @ apart.T)[np.triu_indices(len(_UNRELATED), 1)]
        self._alike_at = float(np.clip(np.quantile(pairs, _SHARE), 1 - _ALIKE_AT_MAX, _ALIKE_AT_MAX))

    def vectors(self, words: Sequence[str]) -> Any:
        """One row for each word, float32.

        Raises:
            ValueError: as `Encoder.vectors`.
        """
        new = [word for word in dict.fromkeys(words) if word not in self._known]
        if len(self._known) + len(new) > _WORDS_MAX:
            self._known.clear()
            new = list(dict.fromkeys(words))
        if new:
            self._known.update(zip(new, self._own(self._encoder.vectors(new)), strict=True))
        return np.stack([self._known[word] for word in words]) if words else np.zeros((0, len(self._common)), np.float32)

    def alike(self, cosines: Any) -> Any:
        """Cosines on the scale of wordllama's vectors: that which unrelated words have at most is so there, and 1 is 1."""
        at = self._alike_at
        above = _ALIKE_AT + (cosines - at) * ((1 - _ALIKE_AT) / (1 - at))
        return np.where(cosines > at, above, cosines * (_ALIKE_AT / at))

    def _own(self, found: Any) -> Any:
        apart = found - self._common
        lengths = np.linalg.norm(apart, axis=1, keepdims=True)
        return (apart / np.where(lengths > 0, lengths, 1.0)).astype(np.float32)


class EncodedSentences:
    """How alike a text is to a known sentence, each taken as a whole. A known sentence is encoded when it is first near to something.

    Args:
        exemplars: the known sentences.
        groups: a number for each; those of one number ask for the same.
    """

    def __init__(self, encoder: Encoder, exemplars: Sequence[str], groups: Sequence[int]) -> None:
        self._encoder = encoder
        self._exemplars = exemplars
        self._known: dict[int, Any] = {}
        self._usual = self._usually(groups)

    @property
    def encoded(self) -> int:
        """Known sentences whose vectors are kept."""
        return len(self._known)

    def whole(self, texts: Sequence[str], near: Sequence[Sequence[int]]) -> list[list[float]]:
        """For each text how alike those known sentences are to it that are near: 0 as any that asks for something else, 1 the same.

        Args:
            texts: words with a blank between them.
            near: for each the places of known sentences.

        Raises:
            ValueError: as `Encoder.vectors`.
        """
        self._encode({place for places in near for place in places})
        asked = self._encoder.vectors([_said(text) for text in texts])
        found = []
        for row, places in zip(asked, near, strict=True):
            cosines = [float(row @ self._known[place]) for place in places]
            found.append([min(1.0, max(0.0, (cosine - self._usual) / (1 - self._usual))) for cosine in cosines])
        return found

    def _encode(self, places: set[int]) -> None:
        if len(self._known) + len(places) > _SENTENCES_MAX:
            self._known.clear()
        new = sorted(place for place in places if place not in self._known)
        self._known.update(zip(new, self._encoder.vectors([_said(self._exemplars[place]) for place in new]), strict=True))

    def _usually(self, groups: Sequence[int]) -> float:
        """How alike known sentences are that ask for different things, in the mean over some of them."""
        places = sorted({round(place) for place in np.linspace(0, len(self._exemplars) - 1, _SAMPLE)}) if self._exemplars else []
        self._encode(set(places))
        pairs = [
            float(self._known[one] @ self._known[other])
            for number, one in enumerate(places)
            for other in places[:number]
            if groups[one] != groups[other]
        ]
        return min(_ALIKE_AT_MAX, max(0.0, sum(pairs) / len(pairs))) if pairs else 0.0


def _said(text: str) -> str:
    return text.replace(*_NUMBER)
