"""How many datagrams somebody may send."""

from __future__ import annotations

__all__ = ["Pace"]


class Pace:
    """A bucket that fills evenly: `per_s` a second on average, twice as many at once."""

    def __init__(self, per_s: int) -> None:
        self._per_s = per_s
        self._left = 2.0 * per_s
        self._at_us = 0

    def take(self, now_us: int) -> bool:
        """Whether one more may come."""
        gained = (now_us - self._at_us) * self._per_s / 1_000_000
        self._left = min(2.0 * self._per_s, self._left + max(0.0, gained))
        self._at_us = now_us
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
