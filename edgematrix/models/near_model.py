"""What finds near sentences, in a process of its own, and where its files are."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import util
from pathlib import Path
from typing import Final, NamedTuple

from edgematrix.errors import ModelError
from edgematrix.models.halt import Halt
from edgematrix.models.near_wire import Kin, Match, Nearest, NearestFound, Pooling
from edgematrix.models.process import ModelProcess

__all__ = ["ENCODER_EXTRA", "NEAR_EXTRA", "KnownSentences", "NearFiles", "NearModel", "find_near", "is_encoder", "near_lacks"]

NEAR_EXTRA: Final = "pip install 'edgematrix[near]'"
ENCODER_EXTRA: Final = "pip install 'edgematrix[encoder]'"
_WORDLLAMA: Final = ("weights/l2_supercat_256.safetensors", "tokenizers/l2_supercat_tokenizer_config.json")
_SHIPPED: Final = "wordllama"
_LOAD_S_MAX: Final = 60.0
"""A memory card reads 16 MB in some seconds, and numpy as many."""
_WORDS_BYTES: Final = 512 << 20
_SPARE_BYTES: Final = 1 << 30
"""Address space besides an encoder's file: Python, numpy, onnxruntime, tokenizers."""


class NearFiles(NamedTuple):
    """Word vectors with their vocabulary, or an encoder of texts (`*.onnx`) with its tokenizer and how it pools."""

    weights: Path
    vocabulary: Path
    pooling: Pooling = "mean"

    @property
    def memory_bytes(self) -> int:
        """Address space that is enough."""
        return 3 * self.weights.stat().st_size + _SPARE_BYTES if is_encoder(self.weights.name) else _WORDS_BYTES


class NearModel:
    """Vectors of words, or an encoder of texts. The process starts with the first question, and lives until `close`.

    Args:
        name: for errors.
        files: as `find_near` gives them.
        memory_bytes_max: of address space; by default what is enough for the files.
    """

    def __init__(self, name: str, files: NearFiles, memory_bytes_max: int | None = None) -> None:
        bounds = (str(memory_bytes_max or files.memory_bytes), str(_LOAD_S_MAX))
        words = [sys.executable, "-P", "-m", "edgematrix.models.near_worker", *map(str, files), *bounds]
        self.process = ModelProcess(name, words, load_s_max=_LOAD_S_MAX)

    @property
    def trouble(self) -> str:
        """Why it is not asked for now."""
        return self.process.trouble

    def nearest(
        self, known: KnownSentences, texts: Sequence[str], count: int, timeout_s: float, halt: Halt | None = None
    ) -> list[list[Match]]:
        """For each text the known sentences that it is nearest to, the nearest first.

        Raises:
            ModelError: as `ModelProcess.ask`.
        """
        return self.found(known, texts, count, timeout_s, halt).matches

    def found(self, known: KnownSentences, texts: Sequence[str], count: int, timeout_s: float, halt: Halt | None = None) -> NearestFound:
        """The same with what there is to say about it. A process that does not know the sentences yet is told.

        Raises:
            ModelError: as `ModelProcess.ask`.
        """
        asked = Nearest(known.key, tuple(texts), count)
        found = self.process.ask(asked, NearestFound, timeout_s, halt=halt)
        if found.is_unknown:
            told = Nearest(known.key, tuple(texts), count, known.exemplars, known.groups, known.kin)
            found = self.process.ask(told, NearestFound, timeout_s, halt=halt, fits=lambda answer: len(answer.matches) == len(texts))
        return found

    def close(self) -> None:
        """End the process."""
        self.process.close()


class KnownSentences:
    """What texts are compared with.

    Args:
        key: stands for it.
        exemplars: words with a blank between them.
        groups: a number for each; of those of one number the nearest counts.
        kin: words that are as good as the same.
    """

    __slots__ = ("exemplars", "groups", "key", "kin")

    def __init__(self, key: str, exemplars: tuple[str, ...], groups: tuple[int, ...], kin: Kin | None = None) -> None:
        self.key = key
        self.exemplars = exemplars
        self.groups = groups
        self.kin = kin or Kin()


def is_encoder(name: str) -> bool:
    """Whether a model's name is that of an encoder's file."""
    return name.endswith(".onnx")


def near_lacks(name: str) -> tuple[list[str], str]:
    """The packages that a model needs and that are not installed, and what installs them."""
    needed = ("numpy", "onnxruntime", "tokenizers") if is_encoder(name) else ("numpy", "wordllama") if name == _SHIPPED else ("numpy",)
    return [package for package in needed if util.find_spec(package) is None], ENCODER_EXTRA if is_encoder(name) else NEAR_EXTRA


def find_near(name: str, folder: Path, tokenizer: str = "", pooling: Pooling = "mean") -> NearFiles:
    """The files of what finds near sentences, without loading anything.

    Args:
        name: `wordllama`, or the path of a safetensors file, beside which the vocabulary is; or that of an encoder, `*.onnx`.
        folder: where a path that is not absolute begins.
        tokenizer: the path of an encoder's tokenizer; by default `NAME.tokenizer.json` or `tokenizer.json` beside it.
        pooling: of an encoder.

    Raises:
        ModelError: they, or what they need, are not there.
    """
    lacking, remedy = near_lacks(name)
    if lacking:
        what = f"the model {name} needs {' and '.join(lacking)}, which {'is' if len(lacking) == 1 else 'are'} not installed"
        if lacking == [_SHIPPED]:
            what = f"the model {name} is in the package of that name, which is not installed"
        raise ModelError(what, remedy=remedy)
    if name == _SHIPPED:
        found = util.find_spec(name)  # which does not import it, nor what it would import
        for place in (found.submodule_search_locations or ()) if found is not None else ():
            weights, vocabulary = (Path(place, part) for part in _WORDLLAMA)
            if weights.is_file() and vocabulary.is_file():
                return NearFiles(weights, vocabulary)
        raise ModelError("the package wordllama that is installed has no such model", remedy=NEAR_EXTRA)
    weights = folder / name
    own = weights.with_name(f"{weights.stem}.tokenizer.json")
    if not is_encoder(name):
        return NearFiles(*_there((weights, own), "a safetensors file, and its vocabulary beside it as NAME.tokenizer.json"))
    beside = own if own.is_file() else weights.with_name("tokenizer.json")
    files = (weights, folder / tokenizer if tokenizer else beside)
    return NearFiles(*_there(files, "an ONNX file, and its tokenizer.json beside it, or where `tokenizer:` says"), pooling)


def _there(files: tuple[Path, Path], remedy: str) -> tuple[Path, Path]:
    for file in files:
        if not file.is_file():
            raise ModelError(f"there is no file {file}", remedy=remedy)
    return files
