"""Patterns of digits that match the numbers of a range, and no others."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from edgematrix.models.number_range import grammar_of_range, patterns

BOUNDS = st.integers(-20_000, 20_000)


def matches(found: list[str], text: str) -> bool:
    return any(re.fullmatch(pattern.replace(".", r"\."), text) for pattern in found)


@given(BOUNDS, st.integers(0, 3_000), st.integers(-30_000, 30_000))
def test_a_whole_number_matches_if_it_is_within(low: int, width: int, number: int) -> None:
    found = patterns(low, low + width, decimals=False)
    assert matches(found, str(number)) == (low <= number <= low + width)
    for edge in (low - 1, low, low + width // 2, low + width, low + width + 1):
        assert matches(found, str(edge)) == (low <= edge <= low + width)
    assert not matches(found, "007")
    assert not matches(found, "-0")
    assert not matches(found, "")


@given(st.floats(-100, 100), st.floats(0, 100), st.decimals(-250, 250, places=2))
def test_no_decimal_without_the_range_matches(low: float, width: float, number: object) -> None:
    found = patterns(low, low + width, decimals=True)
    if matches(found, str(number)):
        assert low <= float(str(number)) <= low + width


def test_decimals_within_match() -> None:
    found = patterns(5, 25, decimals=True)
    for text in ("5", "5.5", "21.25", "24.999", "25"):
        assert matches(found, text)
    for text in ("4.9", "25.1", "5.", ".5", "26"):
        assert not matches(found, text)
    below = patterns(-3, 2, decimals=True)
    assert all(matches(below, text) for text in ("-3", "-2.5", "-0.1", "0.5", "1.9", "2"))
    assert not any(matches(below, text) for text in ("-3.1", "2.1"))


def test_what_has_no_bounds_or_no_number_within_them_has_no_rule() -> None:
    assert grammar_of_range({"type": "integer", "minimum": 0}) == ""
    assert grammar_of_range({"type": "integer", "minimum": 3, "maximum": 2}) == ""
    assert grammar_of_range({"type": "number", "minimum": 0, "maximum": 1e300}) == ""
    assert grammar_of_range({"type": "string", "minimum": 0, "maximum": 2}) == ""
    assert grammar_of_range({"type": "integer", "minimum": 0, "maximum": 120}) == '[0-9] | [1-9] [0-9] | "1" "2" "0" | "1" [0-1] [0-9]'
