"""Sliding windows: amortised constant work a sample, and sums without drift.

Sums are kept as integers in units of 2^-1074, the smallest distance of two floats, so what leaves a window leaves no
rounding behind. The least and the greatest are kept in monotonic queues (Lemire, "Streaming maximum-minimum filter", 2006).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from typing import Any

from edgematrix.triggers.spec import Aggregate

__all__ = ["SAMPLES_MAX", "Window", "window_of"]

SAMPLES_MAX = 100_000
"""How many samples one window holds; beyond it the oldest goes."""

_UNIT_BITS = 1_074


class Window:
    """The samples of a stretch of time; its figure is how many there are.

    Args:
        over_us: how far back it reaches; a sample exactly that old is in.
        min_samples: with fewer the figure is unknown.
    """

    __slots__ = ("_min_samples", "_over_us", "samples")

    def __init__(self, over_us: int, min_samples: int) -> None:
        self._over_us = over_us
        self._min_samples = min_samples
        self.samples: deque[tuple[int, Any]] = deque()

    def add(self, at_us: int, value: Any) -> bool:
        """Take one sample. Whether the oldest one had to go for want of room."""
        samples = self.samples
        samples.append((at_us, value))
        self._enter(value)
        oldest_us = at_us - self._over_us
        while samples[0][0] < oldest_us:
            self._leave(samples.popleft()[1])
        full = len(samples) > SAMPLES_MAX
        if full:
            self._leave(samples.popleft()[1])
        return full

    def figure(self) -> Any:
        """The figure as of the newest sample; None while it is unknown."""
        if len(self.samples) < self._min_samples:
            return None
        try:
            return self._figure()
        except OverflowError:
            return None

    def _enter(self, value: Any) -> None:
        """A value has come into the window."""

    def _leave(self, value: Any) -> None:
        """The oldest value has left it."""

    def _figure(self) -> Any:
        return len(self.samples)


class _Last(Window):
    __slots__ = ()

    def _figure(self) -> Any:
        return self.samples[-1][1]


class _Sum(Window):
    """The sum; whole as long as all values are."""

    __slots__ = ("_floats", "_total")

    def __init__(self, over_us: int, min_samples: int) -> None:
        super().__init__(over_us, min_samples)
        self._total = 0
        self._floats = 0

    def _enter(self, value: Any) -> None:
        self._total += _exact(value)
        self._floats += type(value) is float

    def _leave(self, value: Any) -> None:
        self._total -= _exact(value)
        self._floats -= type(value) is float

    def _figure(self) -> Any:
        return self._total / (1 << _UNIT_BITS) if self._floats else self._total >> _UNIT_BITS


class _Mean(_Sum):
    __slots__ = ()

    def _figure(self) -> Any:
        return self._total / (len(self.samples) << _UNIT_BITS)


class _Deviation(_Sum):
    """The standard deviation of the population, from exact sums, so the difference of squares cancels nothing."""

    __slots__ = ("_squares",)

    def __init__(self, over_us: int, min_samples: int) -> None:
        super().__init__(over_us, min_samples)
        self._squares = 0

    def _enter(self, value: Any) -> None:
        super()._enter(value)
        self._squares += _exact(value) ** 2

    def _leave(self, value: Any) -> None:
        super()._leave(value)
        self._squares -= _exact(value) ** 2

    def _figure(self) -> Any:
        count = len(self.samples)
        return math.sqrt((count * self._squares - self._total**2) / (count * count << 2 * _UNIT_BITS))


class _Extreme(Window):
    """The least value: a queue of those that may yet be the least, the least first."""

    __slots__ = ("_candidates",)
    _sign = 1

    def __init__(self, over_us: int, min_samples: int) -> None:
        super().__init__(over_us, min_samples)
        self._candidates: deque[Any] = deque()

    def _enter(self, value: Any) -> None:
        candidates, sign = self._candidates, self._sign
        while candidates and sign * candidates[-1] > sign * value:
            candidates.pop()
        candidates.append(value)

    def _leave(self, value: Any) -> None:
        if self._candidates[0] is value or self._candidates[0] == value:
            self._candidates.popleft()

    def _figure(self) -> Any:
        return self._candidates[0]


class _Greatest(_Extreme):
    __slots__ = ()
    _sign = -1


_KINDS: dict[str, type[Window]] = {
    "count": Window,
    "last": _Last,
    "sum": _Sum,
    "mean": _Mean,
    "stddev": _Deviation,
    "min": _Extreme,
    "max": _Greatest,
}


def window_of(spec: Aggregate, samples: Iterable[tuple[int, Any]] = ()) -> Window:
    """An empty window, or one with `samples` (moment in microseconds and value, oldest first)."""
    window = _KINDS[spec.fn](spec.over, spec.min_samples)
    for at_us, value in samples:
        window.add(at_us, value)
    return window


def _exact(value: float) -> int:
    numerator, denominator = value.as_integer_ratio()
    return numerator << (_UNIT_BITS + 1 - denominator.bit_length())
