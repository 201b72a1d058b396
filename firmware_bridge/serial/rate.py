"""A bound on how much comes in: so many at once, and so many a second."""

from __future__ import annotations

__all__ = ["Rate"]

_SECOND_US = 1_000_000


class Rate:
    """A bucket that fills with time.

    Args:
        per_s: how many in a second, in the long run.
        burst: how many at once.
    """

    def __init__(self, per_s: int, burst: int) -> None:
        self._per_s = per_s
        self._full = burst * _SECOND_US
        self._level = self._full
        self._at_us: int | None = None

    def takes(self, now_us: int) -> bool:
        """Whether one more fits in now; if so it is in."""
        if self._at_us is not None:
            self._level = min(self._full, self._level + max(0, now_us - self._at_us) * self._per_s)
        self._at_us = now_us
        if self._level < _SECOND_US:
            return False
        self._level -= _SECOND_US
        return True
