"""What the stages between a firing and its run remember, for one key."""

from __future__ import annotations

from collections import deque

from edgematrix.triggers.firing import Firing

__all__ = ["Outlet"]


class Outlet:
    """The memory of `cooldown`, `limit`, `throttle`, `debounce` and `mode`.

    `passed_us` is when the last firing passed the cooldown, `passes` when those passed that `limit` counts,
    `throttled_us` when the throttle let the last one through. `throttled` and `debounced` are held firings,
    `debounce_due_us` is when the latter goes. `running` are runs under way, oldest first, `queue` the firings that wait
    for them; `started_step` is the step that started the last run.
    """

    __slots__ = ("debounce_due_us", "debounced", "passed_us", "passes", "queue", "running", "started_step", "throttled", "throttled_us")

    def __init__(self) -> None:
        self.passed_us: int | None = None
        self.passes: deque[int] | None = None
        self.throttled_us: int | None = None
        self.throttled: Firing | None = None
        self.debounced: Firing | None = None
        self.debounce_due_us = 0
        self.running: dict[int, None] = {}
        self.queue: deque[Firing] | None = None
        self.started_step = -1

    def is_blank(self) -> bool:
        """Whether forgetting it changes nothing."""
        held = self.throttled is not None or self.debounced is not None or self.running or self.queue
        return not held and self.passed_us is None and self.passes is None and self.throttled_us is None
