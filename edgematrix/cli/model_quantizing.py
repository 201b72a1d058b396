"""Makes the int8 file of a model that has a card, and writes it into the card."""

from __future__ import annotations

import re
from collections.abc import Sequence

from edgematrix.config.model_card import ModelCard, read_card, sha256_of
from edgematrix.errors import UsageError
from edgematrix.models.quantizing import quantize
from edgematrix.testing.labelled_windows import Labelled
from edgematrix.testing.model_bench import bench

__all__ = ["quantized"]

_OLD = re.compile(r"^( +)int8:.*$", re.MULTILINE)
_FLOAT = re.compile(r"^( +)float: \{[^{}]*\}[ ]*$", re.MULTILINE)


def quantized(card: ModelCard, windows: Sequence[Labelled], ranges: Sequence[Labelled]) -> tuple[ModelCard, str]:
    """The card with its int8 file, and how that was made.

    Raises:
        ModelError: it cannot be made.
        UsageError: the card's `files:` are not written so that a line can be added.
    """
    source = card.file("float")
    text = card.place.read_text(encoding="utf-8")
    if _FLOAT.search(text) is None:
        raise UsageError("the card's file stands on several lines", where=str(card.place), remedy="float: {file: …, sha256: …} on one line")
    target = source.with_name(f"{source.name.removesuffix('.onnx')}.int8.onnx")
    how = quantize(source, target, _arrays(card, ranges) if ranges else None)
    found = bench(card, "int8", windows, target) if windows else None
    right = f", accuracy: {found.accuracy:.3f}" if found is not None and found.accuracy is not None else ""
    line = f'int8: {{file: {target.name}, sha256: "{sha256_of(target)}"{right}}}'
    if _OLD.search(text):
        text = _OLD.sub(rf"\g<1>{line}", text, count=1)
    else:
        text = _FLOAT.sub(lambda match: f"{match[0]}\n{match[1]}{line}", text, count=1)
    card.place.write_text(text, encoding="utf-8")
    return read_card(card.place), how


def _arrays(card: ModelCard, ranges: Sequence[Labelled]) -> object:
    import numpy as np  # noqa: PLC0415 - of the extra

    rows, columns = card.plan().rows, len(card.spec.inputs)
    windows = np.stack([np.frombuffer(window.values, np.float32).reshape(rows, columns) for window in ranges])
    if card.spec.layout == "columns":
        return np.ascontiguousarray(windows.transpose(0, 2, 1))
    return windows.reshape(len(windows), -1) if card.spec.layout == "flat" else windows
