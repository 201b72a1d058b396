"""The program of the process that finds near sentences: `python -m … WEIGHTS VOCABULARY MEMORY_BYTES_MAX LOAD_S_MAX`."""

from __future__ import annotations

import os
import sys
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgematrix.models.near_wire import Nearest, NearestFound
from edgematrix.models.serving import Served, serve

if TYPE_CHECKING:
    from edgematrix.models.near_index import NearIndex
    from edgematrix.models.word_vectors import WordVectors

_INDICES_MAX: Final = 4
"""Agents whose sentences are kept; the one asked longest ago gives way."""


class _Finder:
    """Word vectors that are loaded, and the sentences of agents."""

    def __init__(self, vectors: WordVectors) -> None:
        self._vectors = vectors
        self._indices: OrderedDict[str, NearIndex] = OrderedDict()

    def answer(self, question: Nearest, _asking: object) -> NearestFound:
        """The nearest of each text, if its exemplars are known or told."""
        from edgematrix.models.near_index import NearIndex  # noqa: PLC0415 - numpy, within the bounds

        index = self._indices.pop(question.key, None)
        if index is None:
            if not question.exemplars:
                return NearestFound(is_unknown=True)
            if len(question.exemplars) != len(question.groups):
                raise ValueError("there are more exemplars than groups, or fewer")
            if len(self._indices) >= _INDICES_MAX:
                self._indices.popitem(last=False)
            index = NearIndex(self._vectors, question.exemplars, question.groups)
        self._indices[question.key] = index
        return NearestFound([index.nearest(text, question.count) for text in question.texts])


def main(words: list[str]) -> None:
    """Serve the vectors that the command line names."""
    weights, vocabulary, memory_bytes_max, load_s_max = words

    def load() -> Served:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # each thread would reserve address space, and nothing here is large
        from edgematrix.models.word_vectors import WordVectors  # noqa: PLC0415 - within the bounds, and after the variable

        return _Finder(WordVectors(Path(weights), Path(vocabulary)))

    serve(load, Nearest, memory_bytes_max=int(memory_bytes_max), load_s_max=float(load_s_max))


if __name__ == "__main__":
    main(sys.argv[1:])
