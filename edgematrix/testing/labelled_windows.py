"""Windows whose labels are known, from a file: what a model is measured with (docs/models.md, "Data").

CSV: a row for each moment, with a column for each input of the card, in its units, and a column `label`; `time` in seconds (without it
rows come at the card's interval), and `series`, which begins a new recording where it changes. The windows are cut as an agent cuts them.
NPZ: `windows` (n, rows, inputs) and `labels` (n), names of classes or their numbers.
"""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Final

import msgspec

from edgematrix.agents.window import Ready, Sample, Windows
from edgematrix.config.model_card import ModelCard
from edgematrix.errors import UsageError
from edgematrix.protocol.duration import SECOND_US
from edgematrix.protocol.value import as_number

__all__ = ["WINDOWS_MAX", "Labelled", "read_labelled"]

WINDOWS_MAX: Final = 20_000
"""Windows of one file; what is beyond is left out."""
_ROWS_MAX: Final = 5_000_000


class Labelled(msgspec.Struct, frozen=True):
    """A window as the model is given it, and the number of its class; -1 where nobody says."""

    values: bytes
    label: int


def read_labelled(file: Path, card: ModelCard) -> list[Labelled]:
    """Read a file of windows for a model.

    Raises:
        UsageError: it cannot be read, or is not of the form that is expected; row and column are named.
    """
    label = card.spec.outputs.label
    classes = label.classes if label is not None else []
    if file.suffix == ".npz":
        return _from_arrays(file, card, classes)
    if file.suffix != ".csv":
        raise UsageError(f"expected a file *.csv or *.npz, found {file.name}")
    try:
        with file.open(encoding="utf-8", newline="") as text:
            return list(_from_rows(csv.DictReader(text), card, classes, str(file)))
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise UsageError(f"the file cannot be read: {problem}", where=str(file)) from None


def _from_rows(reader: csv.DictReader[str], card: ModelCard, classes: list[str], file: str) -> Iterator[Labelled]:
    names = [given.name for given in card.spec.inputs]
    missing = [name for name in names if name not in (reader.fieldnames or ())]
    if missing:
        has = ", ".join(reader.fieldnames or ()) or "none"
        raise UsageError(f"the columns {', '.join(missing)} are missing, the file has {has}", where=file)
    plan = card.plan()
    windows, count = Windows(plan), 0
    state, before, deadline_us, last_us = windows.start(), None, None, 0
    every_us = plan.every_us or SECOND_US
    scales = [(given.scale, given.offset) for given in card.spec.inputs]
    for number, row in enumerate(reader):
        where = f"{file}:{number + 2}"
        if number >= _ROWS_MAX:
            return
        series = row.get("series"), row.get("label")
        if series != before:
            state, before, deadline_us = windows.start(), series, None
        time_us = number * every_us if row.get("time") is None else round(_number(row["time"], "time", where) * SECOND_US)
        if deadline_us is not None and time_us < last_us:
            raise UsageError("the time goes back; a new recording has another `series`", where=where)
        last_us = time_us
        samples = [
            Sample(place, time_us, _number(row[name], name, where) * scale + offset)
            for place, (name, (scale, offset)) in enumerate(zip(names, scales, strict=True))
        ]
        step = windows.take(state, samples, time_us)
        deadline_us = step.deadline_us
        for window in step.windows:
            if isinstance(window, Ready):
                yield Labelled(window.values.tobytes(), _class_of(row.get("label"), classes, where))
                count += 1
                if count >= WINDOWS_MAX:
                    return


def _from_arrays(file: Path, card: ModelCard, classes: list[str]) -> list[Labelled]:
    try:
        import numpy as np  # noqa: PLC0415 - of the extra

        with np.load(file, allow_pickle=False) as found:
            windows, labels = found["windows"], found.get("labels")
    except ImportError:
        raise UsageError(
            "reading *.npz needs numpy, which is not installed", remedy="pip install 'edgematrix[onnx]', or give a *.csv"
        ) from None
    except (OSError, ValueError, KeyError) as problem:
        raise UsageError(f"the file has no array that can be read: {problem}", where=str(file)) from None
    rows, columns = card.plan().rows, len(card.spec.inputs)
    if windows.ndim != len(("n", "rows", "inputs")) or windows.shape[1:] != (rows, columns):
        raise UsageError(f"`windows` has the shape {windows.shape}, expected (n, {rows}, {columns})", where=str(file))
    if labels is not None and labels.shape != windows.shape[:1]:
        raise UsageError(f"`labels` has the shape {labels.shape}, expected {windows.shape[:1]}", where=str(file))
    scales = np.array([(given.scale, given.offset) for given in card.spec.inputs])
    given = (windows[:WINDOWS_MAX] * scales[:, 0] + scales[:, 1]).astype(np.float32)
    if not np.isfinite(given).all():
        raise UsageError("`windows` holds what is no finite number", where=str(file))
    places = [-1] * len(given) if labels is None else [_class_of(label.item(), classes, str(file)) for label in labels[:WINDOWS_MAX]]
    return [Labelled(array("f", window.ravel().tolist()).tobytes(), place) for window, place in zip(given, places, strict=True)]


def _class_of(label: object, classes: list[str], where: str) -> int:
    if label is None or label == "":
        return -1
    if isinstance(label, int) and 0 <= label < len(classes):
        return label
    if label in classes:
        return classes.index(str(label))
    near = get_close_matches(str(label), classes, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"its labels are {', '.join(classes[:20]) or 'none'}"
    raise UsageError(f"the model has no label {label!r}", where=where, remedy=hint)


def _number(text: str | None, name: str, where: str) -> float:
    number = as_number(text)
    if number is None:
        raise UsageError(f"the column {name} holds {str(text)[:40]!r}, expected a number", where=where)
    return float(number)
