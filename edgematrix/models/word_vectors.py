"""Vectors of words, from a matrix of token vectors and a tokenizer's file. Runs in a model's process; imports numpy.

The files are those that `wordllama` ships (MIT): token embeddings of a large model, trained further so that the mean over a text stands
for the text, as safetensors (8 bytes length, JSON, raw values: https://huggingface.co/docs/safetensors), and a byte-pair vocabulary with
its merges in the form of Hugging Face's tokenizers. Nothing else of the package is loaded.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

__all__ = ["WordVectors"]

_HEAD_BYTES: Final = 8
_HEAD_BYTES_MAX: Final = 1_000_000
_START: Final = "\u2581"
_WORDS_MAX: Final = 20_000
"""Words whose vectors are kept."""
_CHARACTERS_MAX: Final = 40
"""Of a word that are looked at."""


class WordVectors:
    """Vectors of single words, of length 1: the mean of those of its tokens.

    Args:
        weights: a safetensors file with one matrix of 2-byte or 4-byte floats, (tokens, size).
        tokenizer: its vocabulary.

    Raises:
        ValueError: one of the files is none, or they do not fit together.
    """

    def __init__(self, weights: Path, tokenizer: Path) -> None:
        self._matrix = _matrix(weights)
        self._vocabulary, self._ranks = _vocabulary(tokenizer)
        if max(self._vocabulary.values()) >= self._matrix.shape[0]:
            raise ValueError(f"{tokenizer.name} has tokens that {weights.name} has no vectors for")
        self._common: Any = self._matrix.astype(np.float32).mean(axis=0)
        self._known: dict[str, Any] = {}

    def vectors(self, words: list[str]) -> Any:
        """One row for each word, float32."""
        return np.stack([self._vector(word) for word in words]) if words else np.zeros((0, self._matrix.shape[1]), np.float32)

    def alike(self, cosines: Any) -> Any:
        """How much words are alike: as much as their vectors."""
        return cosines

    def _vector(self, word: str) -> Any:
        found = self._known.get(word)
        if found is None:
            rows = [self._matrix[token].astype(np.float32) - self._common for token in self._tokens(word)]
            mean = np.mean(rows, axis=0) if rows else np.zeros(self._matrix.shape[1], np.float32)
            length = float(np.linalg.norm(mean))
            found = mean / length if length else mean
            if len(self._known) >= _WORDS_MAX:
                self._known.clear()
            self._known[word] = found
        return found

    def _tokens(self, word: str) -> list[int]:
        """A word by the merges of the vocabulary, the one of the lowest rank first; what is in no vocabulary is left out."""
        parts = [_START, *word[:_CHARACTERS_MAX]]
        while len(parts) > 1:
            ranks = [(self._ranks.get((one, other), len(self._ranks)), place) for place, (one, other) in enumerate(pairwise(parts))]
            rank, place = min(ranks)
            if rank == len(self._ranks):
                break
            parts[place : place + 2] = [parts[place] + parts[place + 1]]
        return [self._vocabulary[part] for part in parts if part in self._vocabulary]


def _matrix(file: Path) -> Any:
    with file.open("rb") as content:
        size = int.from_bytes(content.read(_HEAD_BYTES), "little")
        if not 0 < size <= _HEAD_BYTES_MAX:
            raise ValueError(f"{file.name} is no safetensors file")
        try:
            head = json.loads(content.read(size))
            (found,) = [entry for name, entry in head.items() if name != "__metadata__"]
            rows, columns = found["shape"]
            kind = {"F16": np.float16, "F32": np.float32}[found["dtype"]]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ValueError(f"{file.name} does not hold one matrix of floats") from None
    return np.memmap(file, kind, "r", _HEAD_BYTES + size + int(found["data_offsets"][0]), (rows, columns))


def _vocabulary(file: Path) -> tuple[dict[str, int], dict[tuple[str, str], int]]:
    try:
        model = json.loads(file.read_bytes())["model"]
        vocabulary = {str(token): int(number) for token, number in model["vocab"].items()}
        merges = [tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge) for merge in model["merges"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{file.name} is no byte-pair vocabulary") from None
    return vocabulary, {(one, other): rank for rank, (one, other) in enumerate(merges)}
