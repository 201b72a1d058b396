"""The program of the process that finds near sentences: `python -m … WEIGHTS VOCABULARY POOLING MEMORY_BYTES_MAX LOAD_S_MAX`.

`WEIGHTS` is a matrix of word vectors, or an encoder of texts (`*.onnx`).
"""

from __future__ import annotations

import os
import sys
import time
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import msgspec

from edgematrix.models.near_wire import Match, Nearest, NearestFound, Pooling
from edgematrix.models.serving import Served, serve

if TYPE_CHECKING:
    from edgematrix.models.encoded import EncodedSentences
    from edgematrix.models.encoder import Encoder
    from edgematrix.models.near_index import NearIndex, Vectors

_INDICES_MAX: Final = 4
"""Agents whose sentences are kept; the one asked longest ago gives way."""
_WHOLE_MAX: Final = 8
"""Known sentences near to a text that are compared with it as wholes."""


class _Finder:
    """Vectors that are loaded, and the sentences of agents."""

    def __init__(self, vectors: Vectors, encoder: Encoder | None = None) -> None:
        self._vectors = vectors
        self._encoder = encoder
        self._indices: OrderedDict[str, tuple[NearIndex, EncodedSentences | None]] = OrderedDict()

    def answer(self, question: Nearest, _asking: object) -> NearestFound:
        """The nearest of each text, if its exemplars are known or told.

        Raises:
            ValueError: groups are missing, or the encoder fails.
        """
        known, notes = self._indices.pop(question.key, None), []
        if known is None:
            if not question.exemplars:
                return NearestFound(is_unknown=True)
            if len(question.exemplars) != len(question.groups):
                raise ValueError("there are more exemplars than groups, or fewer")
            if len(self._indices) >= _INDICES_MAX:
                self._indices.popitem(last=False)
            known, note = self._learnt(question)
            notes += note
        self._indices[question.key] = known
        index, sentences = known
        found = [index.nearest(text, question.count) for text in question.texts]
        if sentences is not None and self._encoder is not None:
            found = _with_wholes(sentences, question.texts, found)
            notes += [_cut(text, self._encoder) for text in question.texts if self._encoder.is_cut(text)]
        return NearestFound(found, notes=tuple(notes))

    def _learnt(self, question: Nearest) -> tuple[tuple[NearIndex, EncodedSentences | None], list[str]]:
        from edgematrix.models.near_index import NearIndex  # noqa: PLC0415 - numpy, within the bounds

        began_s = time.monotonic()
        index = NearIndex(self._vectors, question.exemplars, question.groups, question.kin)
        if self._encoder is None:
            return (index, None), []
        from edgematrix.models.encoded import EncodedSentences  # noqa: PLC0415 - of another extra

        sentences = EncodedSentences(self._encoder, question.exemplars, question.groups)
        took_s = time.monotonic() - began_s
        return (index, sentences), [f"the words of {len(question.exemplars)} known sentences were encoded in {took_s:.2f} s"]


def _with_wholes(sentences: EncodedSentences, texts: tuple[str, ...], found: list[list[Match]]) -> list[list[Match]]:
    """The same matches; the nearest of each text with how alike they are to it as wholes."""
    near = [[match.place for match in matches[:_WHOLE_MAX]] for matches in found]
    wholes = sentences.whole(texts, near)
    return [
        [msgspec.structs.replace(match, whole=whole) for match, whole in zip(matches, of, strict=False)] + matches[_WHOLE_MAX:]
        for matches, of in zip(found, wholes, strict=True)
    ]


def _cut(text: str, encoder: Encoder) -> str:
    return f"“{text[:40]}…” is longer than the {encoder.tokens_max} tokens that the model takes: its end did not count"


def main(words: list[str]) -> None:
    """Serve the vectors that the command line names."""
    weights, vocabulary, pooling, memory_bytes_max, load_s_max = words

    def load() -> Served:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # each thread would reserve address space, and nothing here is large
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        if weights.endswith(".onnx"):
            from edgematrix.models.encoded import EncodedWords  # noqa: PLC0415 - within the bounds, and after the variables
            from edgematrix.models.encoder import Encoder  # noqa: PLC0415

            encoder = Encoder(Path(weights), Path(vocabulary), cast("Pooling", pooling))
            return _Finder(EncodedWords(encoder), encoder)
        from edgematrix.models.word_vectors import WordVectors  # noqa: PLC0415 - as above

        return _Finder(WordVectors(Path(weights), Path(vocabulary)))

    serve(load, Nearest, memory_bytes_max=int(memory_bytes_max), load_s_max=float(load_s_max))


if __name__ == "__main__":
    main(sys.argv[1:])
