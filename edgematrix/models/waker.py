"""Wakes the thread that waits for a model's process, where another thread wants it to stop."""

from __future__ import annotations

import os
from typing import Self

from edgematrix.models.halt import Halt

__all__ = ["Waker"]


class Waker:
    """A pipe that can be read from once a halt is wanted; none where nobody can want it."""

    def __init__(self, halt: Halt | None) -> None:
        self._halt = halt
        self._ends = (-1, -1) if halt is None else os.pipe()
        self.pipe = None if halt is None else self._ends[0]

    def __enter__(self) -> Self:
        if self._halt is not None:
            self._halt.attach(self._wake)
            if self._halt.is_wanted:
                self._wake()
        return self

    def __exit__(self, *error: object) -> None:
        if self._halt is not None:
            self._halt.attach(None)
            for end in self._ends:
                os.close(end)

    def _wake(self) -> None:
        os.write(self._ends[1], b"x")
