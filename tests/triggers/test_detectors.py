"""Aggregates against plain arithmetic, equality of values, dead bands."""

import math
import statistics
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgematrix.triggers.aggregate import SAMPLES_MAX, window_of
from edgematrix.triggers.detector import far_enough
from edgematrix.triggers.membership import one_of, same
from edgematrix.triggers.spec import Aggregate

NUMBERS = st.integers(-(10**6), 10**6) | st.floats(-1e9, 1e9)
SAMPLES = st.lists(st.tuples(st.integers(0, 20), NUMBERS), min_size=1, max_size=60)


def expected(fn: str, values: list[Any]) -> Any:
    exact = [Fraction(value) for value in values]
    mean = sum(exact) / len(exact)
    if fn == "stddev":
        return math.sqrt(sum((value - mean) ** 2 for value in exact) / len(exact))
    return {
        "mean": float(mean),
        "sum": float(sum(exact)),
        "min": min(values),
        "max": max(values),
        "count": len(values),
        "last": values[-1],
    }[fn]


@pytest.mark.parametrize("fn", ["mean", "sum", "min", "max", "count", "last", "stddev"])
@given(samples=SAMPLES)
def test_a_window_gives_what_plain_arithmetic_gives(fn: str, samples: list[Any]):
    window = window_of(Aggregate(fn=fn, over=0.00001, min_samples=2))  # type: ignore[arg-type]
    at, seen = 0, []
    for gap, value in samples:
        at += gap
        seen.append((at, value))
        window.add(at, value)
        inside = [value for then, value in seen if at - then <= 10]
        figure = window.figure()
        if len(inside) < 2:
            assert figure is None
        else:
            assert figure == pytest.approx(expected(fn, inside), rel=1e-12, abs=1e-300)


def test_what_leaves_a_window_leaves_no_rounding_behind():
    window = window_of(Aggregate(fn="sum", over=1, min_samples=1))
    window.add(0, 1e17)
    window.add(1, 0.1)
    window.add(2_000_000, 0.2)
    assert window.figure() == 0.2
    mean = window_of(Aggregate(fn="mean", over=10, min_samples=1))
    for at in range(3):
        mean.add(at, 26.1)
    assert mean.figure() == 26.1


def test_the_deviation_of_close_values_is_not_noise():
    window = window_of(Aggregate(fn="stddev", over=10, min_samples=1))
    for at, value in enumerate([1e9, 1e9 + 1, 1e9 + 2]):
        window.add(at, value)
    assert window.figure() == pytest.approx(statistics.pstdev([0, 1, 2]))


def test_a_sum_of_whole_numbers_is_whole():
    window = window_of(Aggregate(fn="sum", over=10, min_samples=1))
    window.add(0, 2)
    window.add(1, 3)
    assert repr(window.figure()) == "5"


def test_a_window_is_bounded():
    window = window_of(Aggregate(fn="min", over=3600, min_samples=1))
    full = [window.add(at, -at) for at in range(SAMPLES_MAX + 5)]
    assert sum(full) == 5
    assert len(window.samples) == SAMPLES_MAX


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        ("1", 1, False),
        ({"a": [1, True]}, {"a": [1, 1]}, False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1.0}, True),
        ([1, 2], [1, 2, 3], False),
        ({}, [], False),
        (None, False, False),
    ],
)
def test_values_are_equal_by_value_and_a_flag_is_no_number(one: Any, other: Any, equal: bool):
    assert same(one, other) is equal
    assert same(other, one) is equal


def test_one_of_tells_flags_numbers_and_texts_apart():
    assert one_of(1)(1.0)
    assert not one_of(1)(True)
    assert one_of(True)(True)
    assert not one_of(True)(1)
    assert not one_of(["on", 1])(True)
    assert one_of(["on", 1])("on")
    assert not one_of("on")(["on"])


@pytest.mark.parametrize(
    ("value", "base", "by", "far"), [(20.3, 20.1, 0.2, True), (0.3, 0.1, 0.2, True), (20.29, 20.1, 0.2, False), (19, 21, 2, True)]
)
def test_a_dead_band_is_as_wide_as_its_decimals_say(value: float, base: float, by: float, far: bool):
    assert far_enough(value, base, by) is far
