"""The real clock."""

from __future__ import annotations

import time

__all__ = ["SystemClock"]


class SystemClock:
    """A timeline that begins at the wall clock's time and then follows the monotonic clock."""

    def __init__(self) -> None:
        self._offset_ns = time.time_ns() - time.monotonic_ns()

    def now_us(self) -> int:
        """The host's timeline, microseconds."""
        return (time.monotonic_ns() + self._offset_ns) // 1_000

    def wall_us(self) -> int:
        """The wall clock, microseconds since the epoch."""
        return time.time_ns() // 1_000
