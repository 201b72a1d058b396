"""When an agent that failed works again."""

from __future__ import annotations

import pytest
from course_drive import read
from hypothesis import given
from hypothesis import strategies as st

from edgematrix.composition.retry import may_retry, wait_us
from edgematrix.composition.spec import RetrySpec

SECOND_US = 1_000_000


def test_without_jitter_the_waits_double_up_to_the_most():
    spec = read(RetrySpec, wait_initial="100ms", wait_max="1s", wait_jitter=0)
    assert [wait_us(spec, attempt, "r") for attempt in range(1, 7)] == [100_000, 200_000, 400_000, 800_000, 1_000_000, 1_000_000]


def test_a_seed_gives_the_same_wait_twice_and_others_give_others():
    spec = read(RetrySpec)
    assert wait_us(spec, 1, "run-1") == wait_us(spec, 1, "run-1")
    assert len({wait_us(spec, 1, f"run-{number}") for number in range(100)}) > 90


def test_the_jitter_is_even():
    spec = read(RetrySpec, wait_initial=0, wait_max="10s", wait_jitter="1s")
    waits = [wait_us(spec, 1, str(number)) for number in range(2_000)]
    assert 450_000 < sum(waits) / len(waits) < 550_000
    assert min(waits) < 10_000
    assert max(waits) > 990_000


@given(
    attempt=st.integers(1, 100),
    initial=st.integers(0, 60_000),
    most=st.integers(0, 60_000),
    jitter=st.integers(0, 60_000),
    base=st.floats(1, 10),
    seed=st.text(st.characters()),
)
def test_a_wait_is_within_its_bounds(attempt, initial, most, jitter, base, seed):
    spec = read(RetrySpec, wait_initial=initial, wait_max=most, wait_jitter=jitter, wait_exp_base=base)
    least = min(spec.wait_max, round(spec.wait_initial * base ** (attempt - 1)))
    assert least <= wait_us(spec, attempt, seed) <= min(spec.wait_max, least + spec.wait_jitter)


def test_attempts_count_from_one():
    with pytest.raises(ValueError, match="from 1"):
        wait_us(read(RetrySpec), 0, "r")


def test_no_attempt_is_made_beyond_their_number_or_their_time():
    spec = read(RetrySpec, attempts=3, timeout="10s")
    assert may_retry(spec, 2, 0, 10 * SECOND_US)
    assert not may_retry(spec, 3, 0, 0)
    assert not may_retry(spec, 1, 0, 10 * SECOND_US + 1)
