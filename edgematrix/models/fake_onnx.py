"""A model over windows that answers what it was told to: for scenarios about what follows from its answers."""

from __future__ import annotations

from collections.abc import Sequence

from edgematrix.errors import ModelError
from edgematrix.models.onnx_wire import Scored

__all__ = ["FakeOnnx"]


class FakeOnnx:
    """Gives the answers of a script, one for each window, and then the last one again and again.

    Args:
        answers: what it gives; a text is an error that it raises.
    """

    def __init__(self, answers: Sequence[Scored | str]) -> None:
        self._answers = tuple(answers)
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
