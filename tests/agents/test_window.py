"""Windows: what a model gets to see is what was measured, in order, whole, and never more than there is room for."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from edgematrix.agents.window import Lost, Ready, Sample, WindowPlan, Windows

MS = 1_000
S = 1_000_000


def plan(**changed: object) -> WindowPlan:
    given: dict[str, object] = {"inputs": ("x",), "rows": 3, "step": 1} | changed
    return WindowPlan(**given)  # type: ignore[arg-type]


def play(windows: Windows, samples: list[tuple[int, int, object]], until_us: int = 0) -> list[Ready | Lost]:
    """Hand in samples at the moments that they are of, and let time pass between as a host does."""
    state = windows.start()
    found: list[Ready | Lost] = []
    deadline_us: int | None = None
    for place, time_us, value in samples:
        while deadline_us is not None and deadline_us < time_us:
            step = windows.tick(state, deadline_us)
            found += step.windows
            assert step.deadline_us is None or step.deadline_us > deadline_us
            deadline_us = step.deadline_us
        step = windows.take(state, [Sample(place, time_us, value)], time_us)
        found += step.windows
        deadline_us = step.deadline_us
    while deadline_us is not None and deadline_us <= until_us:
        step = windows.tick(state, deadline_us)
        found += step.windows
        deadline_us = step.deadline_us
    return found


def values(found: list[Ready | Lost]) -> list[list[float]]:
    return [window.values.tolist() for window in found if isinstance(window, Ready)]


def reasons(found: list[Ready | Lost]) -> list[str]:
    return [window.reason for window in found if isinstance(window, Lost)]


# Samples as they come


def test_a_count_of_samples_is_a_window_and_the_next_one_begins_a_step_later() -> None:
    found = play(Windows(plan(step=2)), [(0, at * S, at) for at in range(8)])
    assert values(found) == [[0, 1, 2], [2, 3, 4], [4, 5, 6]]


def test_a_row_waits_for_every_input_and_takes_the_newest() -> None:
    windows = Windows(plan(inputs=("x", "y"), rows=1))
    found = play(windows, [(0, 1, 1), (0, 2, 2), (1, 3, 9), (1, 4, 8), (0, 5, 3)])
    assert values(found) == [[2, 9], [3, 8]]


def test_what_is_no_number_spoils_the_window_unless_the_last_value_may_stand_for_it() -> None:
    samples = [(0, 0, 1), (0, 1, 2), (0, 2, math.nan), (0, 3, 3), (0, 4, 4), (0, 5, 5)]
    found = play(Windows(plan()), samples)
    assert values(found) == [[3, 4, 5]]
    assert reasons(found) == ["a value of x is missing (of the samples 1 was no numbers)"]
    assert values(play(Windows(plan(fill="hold")), samples))[0] == [1, 2, 2]


def test_a_sample_older_than_the_last_row_is_left_out() -> None:
    assert values(play(Windows(plan()), [(0, 5, 1), (0, 3, 9), (0, 6, 2), (0, 7, 3)])) == [[1, 2, 3]]


def test_rows_that_are_too_far_apart_are_no_window() -> None:
    found = play(Windows(plan(gap_us=S)), [(0, 0, 1), (0, S, 2), (0, 9 * S, 3), (0, 10 * S, 4), (0, 11 * S, 5)])
    assert values(found) == [[3, 4, 5]]
    assert reasons(found) == ["two rows are 8000 ms apart, at most 1000 ms are allowed"]


# Moments


def grid(**changed: object) -> Windows:
    given: dict[str, object] = {"every_us": 100 * MS, "fill": "hold", "gap_us": 300 * MS, "wait_us": 100 * MS} | changed
    return Windows(plan(**given))


def test_samples_at_any_pace_become_values_at_even_moments() -> None:
    samples = [(0, at, at // MS) for at in (100 * MS, 130 * MS, 190 * MS, 320 * MS, 480 * MS)]
    assert values(play(grid(step=3), samples, S)) == [[100, 190, 190], [320, 480, 480]]
    assert values(play(grid(step=1), samples, S))[:2] == [[100, 190, 190], [190, 190, 320]]


def test_values_between_samples_lie_on_a_line() -> None:
    found = play(grid(fill="linear", step=3), [(0, 100 * MS, 0), (0, 250 * MS, 15), (0, 310 * MS, 21)], S)
    assert values(found) == [[0.0, 10.0, 20.0]]


def test_a_gap_spoils_the_windows_that_it_is_in_and_no_others() -> None:
    samples = [(0, at * 100 * MS, at) for at in [*range(10), *range(20, 26)]]
    found = play(grid(step=3), samples, 3 * S)
    assert values(found)[:3] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert values(found)[-1][0] >= 20
    assert reasons(found)


def test_an_input_that_never_comes_is_named_and_makes_no_busy_timer() -> None:
    windows = grid(inputs=("x", "y"))
    state = windows.start()
    found = windows.take(state, [Sample(0, 0, 1)], 0)
    assert found.deadline_us == 300 * MS
    after = windows.tick(state, 300 * MS)
    assert reasons(after.windows) == ["y has had no value yet"]
    assert after.deadline_us is None
    assert windows.waits_for(state) == "y has had no value yet"


def test_samples_out_of_order_give_the_same_windows() -> None:
    samples = [Sample(0, at * 50 * MS, at) for at in range(20)]
    one, other = grid(step=3, wait_us=2 * S), grid(step=3, wait_us=2 * S)
    first, second = one.start(), other.start()
    forwards = one.take(first, samples, S).windows
    mixed = other.take(second, [samples[0], *reversed(samples[1:])], S).windows
    assert values(forwards) == values(mixed) != []


def test_a_sample_of_the_future_counts_for_nothing() -> None:
    windows = grid()
    state = windows.start()
    assert windows.take(state, [Sample(0, 3600 * S, 1)], 0).deadline_us is None
    assert "1 was of the future" in windows.waits_for(state)


def test_a_machine_that_slept_makes_no_flood_of_windows() -> None:
    windows = grid(gap_us=900 * S)
    state = windows.start()
    windows.take(state, [Sample(0, 0, 1)], 0)
    assert len(windows.tick(state, 800 * S).windows) < 100


_TIMES = st.lists(
    st.tuples(st.integers(0, 2), st.integers(-3, 400), st.one_of(st.floats(-100, 100, width=32), st.none(), st.just(math.nan))), max_size=80
)


@settings(max_examples=150, deadline=None)
@given(
    _TIMES,
    st.integers(1, 6),
    st.integers(1, 7),
    st.sampled_from(["hold", "linear", "none"]),
    st.sampled_from([0, 10]),
    st.integers(0, 60),
    st.integers(0, 40),
)
def test_whatever_comes_windows_are_whole_in_order_and_bounded(
    samples: list[tuple[int, int, object]], rows: int, step: int, fill: str, every_ms: int, gap_ms: int, wait_ms: int
) -> None:
    windows = Windows(
        WindowPlan(("x", "y", "z"), rows, step, every_ms * MS, fill, gap_ms * MS, wait_ms * MS)  # type: ignore[arg-type]
    )
    state = windows.start()
    now_us, ends, deadline_us = 0, [], None
    numbers = {value for _, _, value in samples if value is not None and not math.isnan(value)}
    for place, time_ms, value in samples:
        now_us = max(now_us, time_ms * MS)
        while deadline_us is not None and deadline_us <= now_us:
            step_ = windows.tick(state, deadline_us)
            assert step_.deadline_us is None or step_.deadline_us > deadline_us
            deadline_us = step_.deadline_us
            ends += [window for window in step_.windows if isinstance(window, Ready)]
        taken = windows.take(state, [Sample(place, time_ms * MS, value)], now_us)
        deadline_us = taken.deadline_us
        ends += [window for window in taken.windows if isinstance(window, Ready)]
        ahead = (wait_ms * MS + S) // (every_ms * MS) if every_ms else 0
        assert all(len(cells) <= rows + ahead + 2 for cells in state.cells)
        assert len(state.times_us) <= rows
        assert len(state.values) <= 2 * rows * 3
    for window in ends:
        assert len(window.values) == 3 * rows
        assert all(math.isfinite(number) for number in window.values)
        if fill != "linear" or not every_ms:
            assert set(window.values) <= numbers
        assert not every_ms or window.to_us - window.from_us == (rows - 1) * every_ms * MS
    assert [window.to_us for window in ends] == sorted(window.to_us for window in ends)
