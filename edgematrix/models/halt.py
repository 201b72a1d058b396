"""How one thread stops a question that another one waits for."""

from __future__ import annotations

import threading
from collections.abc import Callable

__all__ = ["Halt"]


class Halt:
    """Is given along with a question; `now` may be called from any thread, at any time, and as often as one likes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wake: Callable[[], object] | None = None
        self._is_wanted = False

    @property
    def is_wanted(self) -> bool:
        """Whether the question is to be stopped."""
        return self._is_wanted

    def now(self) -> None:
        """Stop the question; one that has not begun yet does not begin."""
        with self._lock:
            self._is_wanted = True
            if self._wake is not None:
                self._wake()

    def attach(self, wake: Callable[[], object] | None) -> None:
        """Say what wakes up whoever waits for the answer; None once nobody waits."""
        with self._lock:
            self._wake = wake
