"""What finds near sentences, in a process of its own, and where its files are."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import util
from pathlib import Path
from typing import Final

from edgematrix.errors import ModelError
from edgematrix.models.halt import Halt
from edgematrix.models.near_wire import Match, Nearest, NearestFound
from edgematrix.models.process import ModelProcess

__all__ = ["NEAR_EXTRA", "KnownSentences", "NearModel", "find_near"]

NEAR_EXTRA: Final = "pip install 'edgematrix[near]'"
_WORDLLAMA: Final = ("weights/l2_supercat_256.safetensors", "tokenizers/l2_supercat_tokenizer_config.json")
_LOAD_S_MAX: Final = 60.0
"""A memory card reads 16 MB in some seconds, and numpy as many."""


class NearModel:
    """Word vectors. The process starts with the first question, and lives until `close`.

    Args:
        name: for errors.
        files: the vectors and the vocabulary, as `find_near` gives them.
        memory_bytes_max: of address space.
    """

    def __init__(self, name: str, files: tuple[Path, Path], memory_bytes_max: int) -> None:
        words = [sys.executable, "-P", "-m", "edgematrix.models.near_worker", *map(str, files), str(memory_bytes_max), str(_LOAD_S_MAX)]
        self.process = ModelProcess(name, words, load_s_max=_LOAD_S_MAX)

    @property
    def trouble(self) -> str:
        """Why it is not asked for now."""
        return self.process.trouble

    def nearest(
        self, known: KnownSentences, texts: Sequence[str], count: int, timeout_s: float, halt: Halt | None = None
    ) -> list[list[Match]]:
        """For each text the known sentences that it is nearest to, the nearest first. A process that does not know them yet is told.

        Raises:
            ModelError: as `ModelProcess.ask`.
        """
        asked = Nearest(known.key, tuple(texts), count)
        found = self.process.ask(asked, NearestFound, timeout_s, halt=halt)
        if found.is_unknown:
            told = Nearest(known.key, tuple(texts), count, known.exemplars, known.groups)
            found = self.process.ask(told, NearestFound, timeout_s, halt=halt, fits=lambda answer: len(answer.matches) == len(texts))
        return found.matches

    def close(self) -> None:
        """End the process."""
        self.process.close()


class KnownSentences:
    """What texts are compared with.

    Args:
        key: stands for it.
        exemplars: words with a blank between them.
        groups: a number for each; of those of one number the nearest counts.
    """

    __slots__ = ("exemplars", "groups", "key")

    def __init__(self, key: str, exemplars: tuple[str, ...], groups: tuple[int, ...]) -> None:
        self.key = key
        self.exemplars = exemplars
        self.groups = groups


def find_near(name: str, folder: Path) -> tuple[Path, Path]:
    """The files of word vectors, without loading anything: the vectors, and the vocabulary.

    Args:
        name: `wordllama`, or the path of a safetensors file, beside which the vocabulary is.
        folder: where a path that is not absolute begins.

    Raises:
        ModelError: they, or numpy, are not there.
    """
    if util.find_spec("numpy") is None:
        raise ModelError(f"the model {name} needs numpy, which is not installed", remedy=NEAR_EXTRA)
    if name == "wordllama":
        found = util.find_spec(name)  # which does not import it, nor what it would import
        for place in (found.submodule_search_locations or ()) if found is not None else ():
            weights, vocabulary = (Path(place, part) for part in _WORDLLAMA)
            if weights.is_file() and vocabulary.is_file():
                return weights, vocabulary
        raise ModelError("the model wordllama is in the package of that name, which is not installed", remedy=NEAR_EXTRA)
    weights = folder / name
    vocabulary = weights.with_name(f"{weights.stem}.tokenizer.json")
    for file in (weights, vocabulary):
        if not file.is_file():
            raise ModelError(f"there is no file {file}", remedy="a safetensors file, and its vocabulary beside it as NAME.tokenizer.json")
    return weights, vocabulary
