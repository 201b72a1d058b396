"""What was expected beside what was seen."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgematrix.testing.comparison import compare, equal
from edgematrix.testing.simulator import Seen


@dataclass(frozen=True)
class Wanted:
    at: int
    topic: str
    payload: object
    retain: bool | None = None
    qos: int | None = None


def seen(at_us: int, topic: str, payload: object = 1) -> Seen:
    return Seen(at_us, topic, payload, retain=False, qos=0)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        ("1", 1, False),
        ([1, {"a": 1.0}], [1.0, {"a": 1}], True),
        ({"a": 1}, {"a": 1, "b": None}, False),
        (None, None, True),
    ],
)
def test_numbers_are_equal_by_value_and_flags_are_no_numbers(left: object, right: object, same: bool) -> None:
    assert equal(left, right) is same


def test_a_missing_an_extra_and_a_changed_one_stand_where_they_belong() -> None:
    comparison = compare(
        [Wanted(1, "a", 1), Wanted(2, "b", 1), Wanted(3, "c", 1), Wanted(5, "e", 1)],
        [seen(1, "a"), seen(3, "c", 2), seen(4, "d"), seen(5, "e")],
    )
    rows = [(row.expected.topic if row.expected else None, row.seen.topic if row.seen else None, row.same) for row in comparison.rows]
    assert rows == [("a", "a", True), ("b", None, False), ("c", "c", False), (None, "d", False), ("e", "e", True)]
    assert not comparison.passed
    assert comparison.table().count("\n!") == 3


def test_the_order_within_one_moment_counts() -> None:
    assert not compare([Wanted(1, "a", 1), Wanted(1, "b", 1)], [seen(1, "b"), seen(1, "a")]).passed


def test_flag_and_quality_are_compared_where_they_are_given() -> None:
    assert compare([Wanted(1, "a", 1)], [seen(1, "a")]).passed
    assert not compare([Wanted(1, "a", 1, retain=True)], [seen(1, "a")]).passed
    assert not compare([Wanted(1, "a", 1, qos=1)], [seen(1, "a")]).passed


def test_a_long_list_is_aligned_to_its_end() -> None:
    comparison = compare([Wanted(at, "a", at) for at in range(20_000)], [seen(at, "a", at) for at in range(1, 20_000)])
    assert [row.expected.at for row in comparison.rows if row.expected and not row.same] == [0]


def test_what_is_expected_out_of_order_fails() -> None:
    comparison = compare([Wanted(2, "a", 1), Wanted(1, "a", 1)], [seen(1, "a"), seen(2, "a")])
    assert [row.same for row in comparison.rows].count(True) == 1


lists = st.lists(st.tuples(st.integers(0, 3), st.sampled_from("ab")), max_size=8).map(sorted)


@given(lists, lists)
def test_every_line_of_both_sides_is_shown_once_and_in_order(expected: list[tuple[int, str]], shown: list[tuple[int, str]]) -> None:
    comparison = compare([Wanted(at, topic, 1) for at, topic in expected], [seen(at, topic) for at, topic in shown])
    assert [(row.expected.at, row.expected.topic) for row in comparison.rows if row.expected] == expected
    assert [(row.seen.at_us, row.seen.topic) for row in comparison.rows if row.seen] == shown
    assert comparison.passed is (expected == shown)
