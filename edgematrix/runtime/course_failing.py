"""Lets a course fail that cannot go on after a restart, when all that goes on is there."""

from __future__ import annotations

from typing import Protocol

from edgematrix.runtime.run import Run

__all__ = ["CourseFailing"]


class _Failed(Protocol):
    """The course under way."""

    run: Run
    order: int

    def fail(self, reason: str, now_us: int) -> None:
        """End it by an error from outside."""


class CourseFailing:
    """A timer of the engine, for one moment."""

    __slots__ = ("_conduct", "_reason", "order")

    def __init__(self, conduct: _Failed, reason: str) -> None:
        self._conduct = conduct
        self._reason = reason
        self.order = conduct.order

    def awaits(self, due_us: int) -> bool:  # noqa: ARG002 - it waits for one moment only
        """Whether the run is under way."""
        return not self._conduct.run.over

    def due(self, due_us: int, now_us: int) -> None:  # noqa: ARG002 - it waits for one moment only
        """Fail it."""
        self._conduct.fail(self._reason, now_us)
