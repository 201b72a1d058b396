"""The real clock, and the same clock in a hurry for a recording that is played faster than it was made."""

from __future__ import annotations

import time

from edgematrix.protocol.duration import SECOND_US

__all__ = ["PlayClock", "SystemClock"]


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

    def wait_s(self, until_us: int) -> float:
        """Seconds until the timeline shows `until_us`."""
        return (until_us - self.now_us()) / SECOND_US

    def to_wall_us(self, at_us: int) -> int:
        """The wall clock at a moment of the timeline, as far apart as the two are now."""
        return at_us + self.wall_us() - self.now_us()

    def from_wall_us(self, wall_us: int) -> int:
        """The timeline at a moment of the wall clock, as far apart as the two are now."""
        return wall_us - self.wall_us() + self.now_us()


class PlayClock:
    """A timeline that begins where it is told and runs `speed` times as fast as the monotonic clock; the wall clock goes with it."""

    def __init__(self, speed: float, start_us: int) -> None:
        self._speed = speed
        self._start_us = start_us
        self._began_ns = time.monotonic_ns()
        self._began_us = time.time_ns() // 1_000

    def now_us(self) -> int:
        """The host's timeline, microseconds."""
        return self._start_us + int((time.monotonic_ns() - self._began_ns) * self._speed) // 1_000

    def wall_us(self) -> int:
        """What stands for the wall clock here: calendars go by it."""
        return self.now_us()

    def wait_s(self, until_us: int) -> float:
        """Real seconds until the timeline shows `until_us`."""
        return (until_us - self.now_us()) / SECOND_US / self._speed

    def to_wall_us(self, at_us: int) -> int:
        """The real moment at which the timeline shows `at_us`: others do not play."""
        return self._began_us + int((at_us - self._start_us) / self._speed)

    def from_wall_us(self, wall_us: int) -> int:
        """The timeline at a real moment."""
        return self._start_us + int((wall_us - self._began_us) * self._speed)
