"""Virtual time: it goes where the simulation puts it."""

from __future__ import annotations

from edgematrix.protocol.duration import SECOND_US

__all__ = ["VirtualClock"]


class VirtualClock:
    """A clock that stands still until it is set."""

    def __init__(self, now_us: int) -> None:
        self._now_us = now_us

    def now_us(self) -> int:
        """The timeline, microseconds since the epoch."""
        return self._now_us

    def wall_us(self) -> int:
        """The wall clock shows the same."""
        return self._now_us

    def wait_s(self, until_us: int) -> float:
        """Virtual seconds: nobody waits for a clock that stands still."""
        return (until_us - self._now_us) / SECOND_US

    def to_wall_us(self, at_us: int) -> int:
        """The same."""
        return at_us

    def from_wall_us(self, wall_us: int) -> int:
        """The same."""
        return wall_us

    def set(self, now_us: int) -> None:
        """Go on to a later moment."""
        self._now_us = max(now_us, self._now_us)
