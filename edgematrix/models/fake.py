"""A model that picks what it was told to: for tests and simulations."""

from __future__ import annotations

from collections.abc import Sequence

from edgematrix.errors import ModelError

__all__ = ["FakeModel"]


class FakeModel:
    """Picks the names of a script, one for each question, and afterwards always the same.

    Args:
        then: what it picks when the script is over.
    """

    def __init__(self, script: Sequence[str], then: str) -> None:
        self._script = iter(tuple(script))
        self._then = then

    def choose(self, role: str, prompt: str, choices: Sequence[str], timeout_s: float) -> str:  # noqa: ARG002 - it looks at nothing
        """Pick what comes next in the script.

        Raises:
            ModelError: that is none of the choices.
        """
        pick = next(self._script, self._then)
        if pick not in choices:
            raise ModelError(f"the script of the fake model gives {pick[:80]!r}, which is none of {', '.join(choices)}")
        return pick

    def close(self) -> None:
        """It holds nothing."""
