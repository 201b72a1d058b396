"""Who waits for which moment."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Protocol

__all__ = ["Timer", "Timers"]

_MIN = 4_096
"""So many timers are never too many."""


class Timer(Protocol):
    """Whoever waits for a moment. At one instant the lower `order` comes first."""

    order: int

    def due(self, due_us: int, now_us: int) -> None:
        """The moment has come; a timer that no longer waits for `due_us` ignores it."""

    def awaits(self, due_us: int) -> bool:
        """Whether it still waits for that moment: what does not is forgotten before it comes, where there is much of it."""


class Timers:
    """The moments that are waited for, the next one first."""

    def __init__(self) -> None:
        self.waiting: list[tuple[int, int, int, Timer]] = []
        """A heap of the moment, the timer's order, and a number that keeps the order of scheduling."""
        self._count = 0
        self._swept = _MIN

    def add(self, timer: Timer, due_us: int) -> None:
        """Call `timer.due` when `due_us` has come."""
        self._count += 1
        heapq.heappush(self.waiting, (due_us, timer.order, self._count, timer))
        if len(self.waiting) > self._swept:
            # Most runs are over long before their deadlines, which would keep them, with what they were given, until then.
            self.forget(lambda timer, due_us: not timer.awaits(due_us))
            self._swept = max(_MIN, 2 * len(self.waiting))

    def forget(self, is_gone: Callable[[Timer, int], bool]) -> None:
        """Wait for these no longer."""
        self.waiting[:] = [entry for entry in self.waiting if not is_gone(entry[3], entry[0])]
        heapq.heapify(self.waiting)

    def ring(self, now_us: int) -> None:
        """Let all know whose moment has come, oldest first."""
        waiting = self.waiting
        while waiting and waiting[0][0] <= now_us:
            due_us, _, _, timer = heapq.heappop(waiting)
            timer.due(due_us, now_us)

    def is_due(self, now_us: int) -> bool:
        """Whether somebody's moment has come."""
        return bool(self.waiting) and self.waiting[0][0] <= now_us

    @property
    def next_us(self) -> int | None:
        """The next moment."""
        return self.waiting[0][0] if self.waiting else None
