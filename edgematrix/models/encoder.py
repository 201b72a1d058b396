"""An encoder of texts from an ONNX file, with its tokenizer. Runs in a model's process; imports onnxruntime, numpy and tokenizers.

The model takes whole numbers `input_ids`, and `attention_mask` and `token_type_ids` if it wants them, (texts, tokens). It puts out a
vector for each token, (texts, tokens, size), which are pooled here, or one for each text, (texts, size). Of several outputs
`sentence_embedding` is taken, else the first. The tokenizer is a file in the form of Hugging Face's tokenizers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from edgematrix.models.near_wire import Pooling

__all__ = ["Encoder"]

_INPUTS: Final = ("input_ids", "attention_mask", "token_type_ids")
_WHOLE: Final = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
_POOLED: Final = "sentence_embedding"
_TOKENS_MAX: Final = 128
"""Of a text; what is beyond is left out."""
_TOKENS_MIN: Final = 8
_TEXTS_AT_ONCE: Final = 32
_RANKS: Final = (2, 3)
_SIZE_MAX: Final = 8_192


class Encoder:
    """Texts as vectors of length 1. What is no number in them is a ValueError.

    Args:
        model: an ONNX file.
        tokenizer: its tokenizer's file.
        pooling: what stands for a text, of the vectors of its tokens: their `mean`, or the `first` one.

    Raises:
        ValueError: one of the files is none, the model takes or puts out something else, or they do not fit together.
    """

    def __init__(self, model: Path, tokenizer: Path, pooling: Pooling = "mean") -> None:
        self._pooling = pooling
        self._tokenizer = _tokenizer(tokenizer)
        self._session = _session(model)
        self._inputs = self._checked_inputs()
        self._output = self._chosen_output()
        self.tokens_max = self._tokens_max(tokenizer.name)
        """How many tokens of a text count."""
        self._check_vocabulary(model.name, tokenizer.name)

    def vectors(self, texts: Sequence[str]) -> Any:
        """One row for each text, float32, of length 1; zeros where the model puts out zeros.

        Raises:
            ValueError: the model fails, or puts out what is no finite number.
        """
        rows: list[Any] = [None] * len(texts)
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))  # so that little is padded
        for first in range(0, len(order), self._at_once):
            places = order[first : first + self._at_once]
            found = self._of([self._tokenizer.encode(texts[place]) for place in places])
            for place, row in zip(places, found, strict=True):
                rows[place] = row
        return np.stack(rows) if rows else np.zeros((0, 1), np.float32)

    def is_cut(self, text: str) -> bool:
        """Whether a text has more tokens than count: the first ones do, and those that close it."""
        return bool(self._tokenizer.encode(text).overflowing)

    # Running

    def _of(self, encoded: Sequence[Any]) -> Any:
        width = self._fixed or max(len(one.ids) for one in encoded)
        ids, mask = np.zeros((2, len(encoded), max(width, 1)), np.int64)
        kinds = np.zeros_like(ids)
        for row, one in enumerate(encoded):
            size = len(one.ids)
            ids[row, :size], mask[row, :size], kinds[row, :size] = one.ids, one.attention_mask, one.type_ids
        found = self._run(ids, mask, kinds)
        if found.ndim not in _RANKS or len(found) != len(encoded) or not 0 < found.shape[-1] <= _SIZE_MAX:
            raise ValueError(f"the output {self._output!r} has the shape {found.shape}, expected (texts, tokens, size) or (texts, size)")
        if not np.isfinite(found).all():
            raise ValueError(f"the model puts out on {self._output!r} what is no finite number")
        if found.ndim == max(_RANKS):
            found = found[:, 0] if self._pooling == "first" else _mean(found, mask)
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        return found / np.where(lengths > 0, lengths, 1.0)

    def _run(self, ids: Any, mask: Any, kinds: Any) -> Any:
        values = dict(zip(_INPUTS, (ids, mask, kinds), strict=True))
        given = {name: values[name].astype(kind) for name, kind in self._inputs.items()}
        try:
            (found,) = self._session.run([self._output], given)
        except Exception as error:  # noqa: BLE001 - it raises classes of its own, which say nothing
            raise ValueError(f"the model failed: {_first_line(error)}") from None
        if not isinstance(found, np.ndarray) or found.dtype.kind != "f":
            raise ValueError(f"the output {self._output!r} holds no floats")
        return found.astype(np.float32)

    # What the files have to be

    def _checked_inputs(self) -> dict[str, Any]:
        known = {given.name: given for given in self._session.get_inputs()}
        other = [name for name in known if name not in _INPUTS]
        if "input_ids" not in known or other:
            wanted = "expected input_ids, and attention_mask and token_type_ids if it wants them"
            raise ValueError(f"the model's inputs are {', '.join(known) or 'none'}, {wanted}")
        for name, given in known.items():
            if given.type not in _WHOLE or len(given.shape) != min(_RANKS):
                told = f"is {given.type} of {len(given.shape)} dimensions, expected whole numbers, (texts, tokens)"
                raise ValueError(f"the model's input {name!r} {told}")
        texts, tokens = known["input_ids"].shape
        if isinstance(texts, int) and texts != 1:
            raise ValueError(f"the model takes {texts} texts at once, expected one, or any number")
        self._at_once = 1 if texts == 1 else _TEXTS_AT_ONCE
        self._fixed = tokens if isinstance(tokens, int) else 0
        return {name: _WHOLE[given.type] for name, given in known.items()}

    def _chosen_output(self) -> str:
        known = [given.name for given in self._session.get_outputs()]
        return _POOLED if _POOLED in known else known[0]

    def _tokens_max(self, tokenizer: str) -> int:
        """How many tokens the model takes: as its input or its tokenizer says, and what it can be seen to take."""
        said = self._tokenizer.truncation
        most = min(self._fixed or _TOKENS_MAX, _TOKENS_MAX, said["max_length"] if said else _TOKENS_MAX)
        self._tokenizer.no_padding()
        if most <= self._tokenizer.num_special_tokens_to_add(False):
            raise ValueError(f"{tokenizer} cuts texts to {most} tokens, which leaves no room for any")
        while True:
            self._tokenizer.enable_truncation(most)
            try:
                self._of([self._tokenizer.encode("a " * most)])
            except ValueError as error:
                if self._fixed or most // 2 < _TOKENS_MIN or not str(error).startswith("the model failed"):
                    raise
                most //= 2  # it has fewer positions
            else:
                return most

    def _check_vocabulary(self, model: str, tokenizer: str) -> None:
        highest = max(self._tokenizer.get_vocab(with_added_tokens=True).values())
        width = self._fixed or _TOKENS_MIN
        ids = np.full((1, width), highest, np.int64)
        try:
            self._run(ids, np.ones_like(ids), np.zeros_like(ids))
        except ValueError:
            what = f"{tokenizer} has {highest + 1} tokens, and {model} fails on the last of them: they do not belong together"
            raise ValueError(what) from None


def _tokenizer(file: Path) -> Any:
    try:
        found = Tokenizer.from_file(str(file))
    except Exception as error:  # noqa: BLE001 - it raises none but Exception itself
        raise ValueError(f"{file.name} is no tokenizer in the form of Hugging Face's: {_first_line(error)}") from None
    if not found.get_vocab(with_added_tokens=True):
        raise ValueError(f"{file.name} is a tokenizer without any token")
    return found


def _session(file: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - as above
        raise ValueError(f"{file.name} is no model that onnxruntime can load: {_first_line(error)}") from None


def _mean(found: Any, mask: Any) -> Any:
    weights = mask[:, : found.shape[1], None].astype(np.float32)
    return (found * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1.0)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
