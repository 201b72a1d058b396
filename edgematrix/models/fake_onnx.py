"""A model over windows that answers what it was told to: for scenarios about what follows from its answers."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edgematrix.errors import ModelError
from edgematrix.models.onnx_wire import Scored

__all__ = ["FakeOnnx"]


class _Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One answer of a script; an `error` is a failure of the model."""

    label: str | None = None
    score: float = 1.0
    embedding: list[float] = []
    error: str | None = None


class FakeOnnx:
    """Gives the answers of a script, one for each window, and then the last one again and again.

    Args:
        name: of the agent, for errors.
        script: `{label, score, embedding}`, or `{error}`.
        classes: the labels that the model has.

    Raises:
        ModelError: an answer is none that the model could give.
    """

    def __init__(self, name: str, script: Sequence[object], classes: Sequence[str]) -> None:
        if not script:
            raise ModelError(f"there is no answer for {name}", remedy="[{label: …, score: 0.9}]")
        self._answers = [_read(name, number, answer, classes) for number, answer in enumerate(script, 1)]
        self._next = 0

    def score(self, values: bytes, timeout_s: float) -> Scored:  # noqa: ARG002 - it looks at nothing
        """The next answer.

        Raises:
            ModelError: the script says so.
        """
        answer = self._answers[min(self._next, len(self._answers) - 1)]
        self._next += 1
        if isinstance(answer, str):
            raise ModelError(answer)
        return answer

    def close(self) -> None:
        """It holds nothing."""


def _read(name: str, number: int, given: object, classes: Sequence[str]) -> Scored | str:
    try:
        answer = msgspec.convert(given, _Answer)
    except msgspec.ValidationError as problem:
        raise ModelError(f"answer {number} for {name}: {problem}", remedy="{label: …, score: 0.9}, or {error: …}") from None
    if answer.error is not None:
        return answer.error
    if answer.label is None and not classes:
        return Scored(-1, answer.score, answer.embedding)
    if answer.label is None or answer.label not in classes:
        known = f"its labels are {', '.join(classes)}" if classes else "it gives none"
        raise ModelError(f"answer {number} for {name}: the model has no label {answer.label!r}", remedy=known)
    return Scored(list(classes).index(answer.label), answer.score, answer.embedding)
