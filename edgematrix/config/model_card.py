"""Finds and reads the cards of models, and says what is wrong with one by line and column."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Final

import msgspec

from edgematrix.agents.window import ROWS_MAX, Fill, WindowPlan
from edgematrix.config.document import read_document
from edgematrix.config.finding import Finding, error, issues_of, told
from edgematrix.config.validation import validate_document
from edgematrix.errors import ConfigError, ModelError
from edgematrix.models.card import CARD_SUFFIX, PRECISIONS, CardSpec, CardWindow, ModelFile, Precision
from edgematrix.models.onnx_wire import Signature
from edgematrix.protocol.duration import format_duration, parse_duration

__all__ = ["FOLDER", "SHIPPED", "ModelCard", "find_card", "known_cards", "read_card", "sha256_of"]

FOLDER: Final = "models"
"""Beside the matrix file: where the models of a matrix live."""
SHIPPED: Final = Path(__file__).parent.parent / "models" / "shipped"
"""Models that come with this package."""
_VALUES_MAX: Final = 250_000
"""Of a window: a message to a model's process has at most 1 MiB."""
_FILE_BYTES_MAX: Final = 1 << 30
_CHUNK_BYTES: Final = 1 << 20
_GAP_STEPS: Final = 3
"""How many intervals away a sample may be where a card does not say."""


class ModelCard(msgspec.Struct, frozen=True):
    """A card that was read and is right in itself, and where it stands."""

    spec: CardSpec
    place: Path

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """Those in which the model is there."""
        return tuple(precision for precision in PRECISIONS if self.spec.files.of(precision) is not None)

    def file(self, precision: Precision | None = None, *, is_verified: bool = True) -> Path:
        """The model's file in a precision; without one as float if it is there.

        Raises:
            ModelError: there is none, it cannot be read, or it is another one than the card was written for.
        """
        wanted = precision or self.precisions[0]
        named = self.spec.files.of(wanted)
        if named is None:
            remedy = f"edgematrix models quantize {self.spec.model}" if wanted == "int8" else f"it is there as {', '.join(self.precisions)}"
            raise ModelError(f"the model {self.spec.model} is not there as {wanted}", where=str(self.place), remedy=remedy)
        file = self.place.parent / named.file
        if is_verified:
            found = sha256_of(file)
            if found != named.sha256:
                raise ModelError(
                    f"{file.name} is not the file of the card: its SHA-256 is {found[:12]}…, the card says {named.sha256[:12]}…",
                    where=str(self.place),
                    remedy="bring back the file, or write its sum into the card once it has been measured",
                )
        elif not file.is_file():
            raise ModelError(f"there is no file {file.name} beside the card", where=str(self.place))
        return file

    def plan(self, step: int | str | None = None, wait_us: int | None = None) -> WindowPlan:
        """How windows are made, with another step, or wait for late samples, if one is given.

        Raises:
            ModelError: the step, or the wait, is none for this window.
        """
        window = self.spec.window
        every_us = window.every or 0
        rows = _rows(window)
        steps = _steps(window.step if step is None else step, rows, every_us)
        fill: Fill = window.fill or ("hold" if every_us else "none")
        gap_us = window.gap if window.gap is not None else _GAP_STEPS * every_us
        waits_us = gap_us if fill == "linear" else every_us
        if wait_us is not None and not 0 <= wait_us <= ROWS_MAX * every_us:
            at_most = f"at most {format_duration(ROWS_MAX * every_us)} are waited" if every_us else "without `every` nothing is waited for"
            raise ModelError(f"{at_most} by windows of the model {self.spec.model}")
        wait_us = window.wait if wait_us is None and window.wait is not None else waits_us if wait_us is None else wait_us
        return WindowPlan(tuple(given.name for given in self.spec.inputs), rows, steps, every_us, fill, gap_us, wait_us)

    def signature(self, threads: int = 1) -> Signature:
        """What the model's process holds the file against."""
        spec, outputs = self.spec, self.spec.outputs
        label, score = outputs.label, outputs.score
        of = label.classes.index(score.of) if label is not None and score is not None and score.of is not None else -1
        return Signature(
            rows=_rows(spec.window),
            columns=len(spec.inputs),
            layout=spec.layout,
            input=spec.tensor or "",
            label=label.tensor if label is not None else "",
            classes=len(label.classes) if label is not None else 0,
            softmax=label.softmax if label is not None else False,
            score=(score.tensor or "") if score is not None else "",
            score_of=of,
            embedding=outputs.embedding.tensor if outputs.embedding is not None else "",
            threads=threads,
        )

    @property
    def window_told(self) -> str:
        """How long a window is, and how often there is one, in words."""
        plan = self.plan()
        if not plan.every_us:
            return f"{plan.rows} samples, each {plan.step}"
        span, step = format_duration(plan.rows * plan.every_us), format_duration(plan.step * plan.every_us)
        return f"{span} at {format_duration(plan.every_us)}, each {step}"


def read_card(place: Path) -> ModelCard:
    """Read a card.

    Raises:
        ConfigError: every error that was found, in file order.
    """
    document = read_document(place, {})
    spec = validate_document(CardSpec, document)
    findings = list(_findings(spec))
    if findings:
        raise ConfigError(told(issues_of(findings, document, ()), document))
    return ModelCard(spec, place)


def find_card(name: str, folder: Path) -> ModelCard:
    """The card of a model, by its name or by the path of its card or its float file.

    Args:
        name: of a card in `models/` or of one that is shipped; or a path.
        folder: where the matrix stands.

    Raises:
        ModelError: there is none.
        ConfigError: it is wrong.
    """
    if "/" in name or name.endswith((CARD_SUFFIX, ".onnx")):
        place = folder / name
        if name.endswith(".onnx"):
            place = place.with_name(place.name.removesuffix(".onnx").removesuffix(".int8") + CARD_SUFFIX)
        elif not name.endswith(CARD_SUFFIX):
            place = place.with_name(place.name + CARD_SUFFIX)
        if not place.is_file():
            raise ModelError(f"there is no card {place}", remedy="docs/models.md tells what stands in one")
        return read_card(place)
    known = known_cards(folder)
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}, or the path of a card"
        raise ModelError(f"there is no model {name!r} in {folder / FOLDER}, and none is shipped", remedy=hint)
    return read_card(known[name])


def known_cards(folder: Path) -> dict[str, Path]:
    """The cards that can be named, those of the matrix before those that are shipped."""
    found: dict[str, Path] = {}
    for place in (folder / FOLDER, SHIPPED):
        for card in sorted(place.glob(f"*{CARD_SUFFIX}")) if place.is_dir() else ():
            found.setdefault(card.name.removesuffix(CARD_SUFFIX), card)
    return found


def sha256_of(file: Path) -> str:
    """The sum of a file.

    Raises:
        ModelError: it cannot be read, is empty, or is larger than a model may be.
    """
    summed = hashlib.sha256()
    try:
        size = file.stat().st_size
        if not 0 < size <= _FILE_BYTES_MAX:
            raise ModelError(f"{file} has {size} bytes, expected from 1 to {_FILE_BYTES_MAX}")
        with file.open("rb") as content:
            while part := content.read(_CHUNK_BYTES):
                summed.update(part)
    except OSError as problem:
        raise ModelError(f"the model {file} cannot be read: {problem.strerror}") from None
    return summed.hexdigest()


def _rows(window: CardWindow) -> int:
    if window.count is not None:
        return window.count
    assert window.time is not None  # noqa: S101 - one of them is there, or the card is refused
    return round(window.time / (window.every or 1))


def _steps(step: int | str | None, rows: int, every_us: int) -> int:
    if step is None:
        return rows
    if isinstance(step, int):
        return step
    try:
        step_us = parse_duration(step)
    except ValueError as problem:
        raise ModelError(str(problem)) from None
    if not every_us:
        raise ModelError("without `every` a step is a number of samples", remedy="step: 10")
    steps = round(step_us / every_us)
    if steps < 1 or steps * every_us != step_us:
        raise ModelError(f"a step of {step} is no multiple of `every`, {format_duration(every_us)}")
    return steps


def _findings(spec: CardSpec) -> Iterator[Finding]:
    of_window = list(_window(spec.window))
    yield from of_window
    names = [given.name for given in spec.inputs]
    for place, given in enumerate(spec.inputs):
        if given.name in names[:place]:
            yield error(("inputs", place, "name"), f"there are two inputs named {given.name!r}")
    if not any(_files(spec)):
        yield error(("files",), "the card names no file", "float: {file: NAME.onnx, sha256: …}")
    values = 0 if of_window else _rows(spec.window) * len(spec.inputs)
    if values > _VALUES_MAX:
        yield error(("window",), f"a window has {values} values, at most {_VALUES_MAX} are allowed", at_key=True)
    yield from _outputs(spec)


def _files(spec: CardSpec) -> Iterator[ModelFile]:
    yield from (found for precision in PRECISIONS if (found := spec.files.of(precision)) is not None)


def _window(window: CardWindow) -> Iterator[Finding]:
    where = ("window",)
    if (window.count is None) == (window.time is None):
        yield error(where, "a window has a `count` of rows or a `time`, one of them", at_key=True)
        return
    if window.time is not None and not window.every:
        yield error((*where, "time"), "a window of a `time` needs `every`: the interval of its values", "every: 20ms", at_key=True)
        return
    if window.every == 0:
        yield error((*where, "every"), "the interval of the values cannot be 0")
        return
    rows = _rows(window)
    if window.time is not None and window.every and rows * window.every != window.time:
        yield error((*where, "time"), f"{format_duration(window.time)} is no multiple of `every`, {format_duration(window.every)}")
    if not 1 <= rows <= ROWS_MAX:
        yield error(where, f"the window has {rows} rows, expected from 1 to {ROWS_MAX}", at_key=True)
    try:
        _steps(window.step, rows, window.every or 0)
    except ModelError as problem:
        yield error((*where, "step"), problem.what, problem.remedy)
    if window.every is None and window.fill == "linear":
        yield error((*where, "fill"), "`linear` needs `every`: without it no moment lies between two samples")
    if window.every is not None and window.fill == "none":
        yield error((*where, "fill"), "with `every` values are held, or lie on a line: expected hold or linear")
    for name in ("gap", "wait"):
        given = getattr(window, name)
        if given is not None and window.every and given > ROWS_MAX * window.every:
            yield error((*where, name), f"expected at most {format_duration(ROWS_MAX * window.every)}, {ROWS_MAX} times `every`")
    if window.wait is not None and window.every is None:
        yield error((*where, "wait"), "`wait` needs `every`: without it a window is whole with its last sample", at_key=True)


def _outputs(spec: CardSpec) -> Iterator[Finding]:
    outputs, score = spec.outputs, spec.outputs.score
    if not outputs.ports:
        yield error(("outputs",), "the model has no output", "label: {tensor: probabilities, classes: [one, other]}")
    if outputs.label is not None and len(set(outputs.label.classes)) < len(outputs.label.classes):
        yield error(("outputs", "label", "classes"), "two classes have the same name")
    if score is None:
        return
    where = ("outputs", "score")
    if score.tensor is not None and score.of is not None:
        yield error((*where, "of"), "a score is a `tensor`, or `of` a class of the label, one of them", at_key=True)
    elif score.tensor is None and outputs.label is None:
        yield error(where, "without a label a score needs its `tensor`", at_key=True)
    elif score.of is not None and outputs.label is not None and score.of not in outputs.label.classes:
        near = get_close_matches(score.of, outputs.label.classes, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"the classes are {', '.join(outputs.label.classes[:20])}"
        yield error((*where, "of"), f"the label has no class {score.of!r}", hint)
