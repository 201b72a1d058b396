"""Durations and moments."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgematrix.protocol.duration import format_duration, parse_duration
from edgematrix.protocol.moment import format_moment, parse_moment


@pytest.mark.parametrize(
    ("text", "duration_us"),
    [
        (0, 0),
        (2.5, 2_500_000),
        ("500ms", 500_000),
        ("2s", 2_000_000),
        ("5m", 300_000_000),
        ("1h30m", 5_400_000_000),
        ("1d", 86_400_000_000),
        ("1m500ms", 60_500_000),
        ("0.5s", 500_000),
    ],
)
def test_durations_as_users_write_them(text: float | str, duration_us: int) -> None:
    assert parse_duration(text) == duration_us


@pytest.mark.parametrize("text", ["", "5", "s", "-2s", "1m1h", "2 s", "1e3s", "5min", -1, math.nan, math.inf, True, "99999999d"])
def test_what_is_no_duration_is_refused(text: float | str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=10**15))
def test_a_duration_written_is_read_again(duration_us: int) -> None:
    assert parse_duration(format_duration(duration_us)) == duration_us


@given(st.integers(min_value=0, max_value=253_402_300_799_999_999))
def test_a_moment_written_is_read_again(moment_us: int) -> None:
    assert parse_moment(format_moment(moment_us)) == moment_us


def test_moments_have_an_offset() -> None:
    assert format_moment(1_767_225_605_000_000) == "2026-01-01T00:00:05Z"
    assert parse_moment("2026-01-01T01:00:05+01:00") == 1_767_225_605_000_000
    with pytest.raises(ValueError, match="offset"):
        parse_moment("2026-01-01T01:00:05")
