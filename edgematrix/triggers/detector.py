"""Level detectors: from a value and the side that it was on to the side that it is on."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import TypeAlias

from edgematrix.triggers.membership import Test, one_of
from edgematrix.triggers.spec import SourceSpec

__all__ = ["Level", "far_enough", "level_of", "sum_as_written"]

Level: TypeAlias = Callable[..., bool]
"""`(value, side) -> side`; the side before is True, False, or None while it is unknown."""

_NEARLY = 1e-9


def level_of(spec: SourceSpec) -> Level | None:
    """The level detector of a source, None if it has none (or goes by the clock)."""
    if spec.equals is not None:
        return _member(one_of(spec.equals), True)
    if spec.not_ is not None:
        return _member(one_of(spec.not_), False)
    if spec.above is None and spec.below is None:
        return None
    return _threshold(spec.above, spec.below, spec.hysteresis or 0.0)


@lru_cache(maxsize=4096)
def _member(test: Test, inside: bool) -> Level:
    """Groups of one kind share their detectors."""
    return (lambda value, _: test(value)) if inside else (lambda value, _: not test(value))


@lru_cache(maxsize=4096)
def _threshold(above: float | None, below: float | None, hysteresis: float) -> Level:
    if above is None:
        return _below(below or 0.0, hysteresis)
    return _above(above, hysteresis) if below is None else _between(above, below, hysteresis)


def far_enough(value: float, base: float, by: float) -> bool:
    """Whether two numbers are at least `by` apart, as their decimals say: 20.3 and 20.1 are 0.2 apart."""
    distance = abs(value - base)
    if abs(distance - by) > _NEARLY * max(abs(value), abs(base), by):
        return distance >= by
    return abs(_decimal(value) - _decimal(base)) >= _decimal(by)


def _decimal(number: float) -> Decimal:
    return Decimal(repr(number))


def sum_as_written(one: float, other: float) -> float:
    """The sum as written in decimals, so that 0.3 - 0.1 is 0.2."""
    return float(_decimal(one) + _decimal(other))


def _above(threshold: float, hysteresis: float) -> Level:
    if not hysteresis:
        return lambda value, _: value > threshold
    off_at = sum_as_written(threshold, -hysteresis)
    return lambda value, side: value > threshold or (side is True and value > off_at)


def _below(threshold: float, hysteresis: float) -> Level:
    if not hysteresis:
        return lambda value, _: value < threshold
    off_at = sum_as_written(threshold, hysteresis)
    return lambda value, side: value < threshold or (side is True and value < off_at)


def _between(low: float, high: float, hysteresis: float) -> Level:
    if not hysteresis:
        return lambda value, _: low < value < high
    off_low, off_high = sum_as_written(low, -hysteresis), sum_as_written(high, hysteresis)
    return lambda value, side: low < value < high or (side is True and off_low < value < off_high)
