"""What was taken is not taken again: against a set that remembers everything, and over restarts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgematrix.access.replay import ReplayMemory, Verdict

MARKS = st.tuples(st.sampled_from(["k1", "k2"]), st.sampled_from(["t/a", "t/b"]), st.integers(0, 6), st.integers(1, 40))
TURNS = st.lists(MARKS | st.just("restart"), max_size=200)


def refuse(part: str, error: Exception) -> None:
    raise AssertionError(f"{part}: {error}")


def again(memory: ReplayMemory, stored: dict[str, bytes | None]) -> ReplayMemory:
    stored.update(memory.save())
    newer = ReplayMemory(lambda: None)
    assert newer.load({part: data for part, data in stored.items() if data is not None}, {"k1", "k2"}, refuse) == []
    return newer


@given(TURNS)
def test_nothing_is_taken_twice(turns: list[tuple[str, str, int, int] | str]) -> None:
    memory, stored, taken = ReplayMemory(lambda: None), {}, set()
    for turn in turns:
        if isinstance(turn, str):
            memory = again(memory, stored)
        elif memory.take(*turn) is Verdict.NEW:
            assert turn not in taken
            taken.add(turn)


@given(TURNS)
def test_of_what_is_kept_nothing_older_than_the_newest_is_taken(turns: list[tuple[str, str, int, int] | str]) -> None:
    memory, stored, newest = ReplayMemory(lambda: None), {}, {}
    for turn in turns:
        if isinstance(turn, str):
            memory = again(memory, stored)
            continue
        key, topic, *count = turn
        is_new = memory.follow(*turn) is Verdict.NEW
        assert is_new is (count >= newest.get((key, topic), [-1, 0]))
        newest[key, topic] = max(count, newest.get((key, topic), [-1, 0]))


def test_what_comes_in_another_order_is_taken_within_the_window_and_lost_ones_are_missed_by_nobody() -> None:
    memory = ReplayMemory(lambda: None)
    assert memory.take("k1", "t", 1, 1000) is Verdict.NEW
    assert [memory.take("k1", "t", 1, number) for number in (999, 2, 1000, 999)] == [Verdict.NEW, Verdict.NEW, Verdict.AGAIN, Verdict.AGAIN]
    assert memory.take("k1", "t", 1, 5000) is Verdict.NEW
    assert memory.take("k1", "t", 1, 3900) is Verdict.AGAIN
    assert memory.take("k1", "t", 1, 3977) is Verdict.NEW


def test_a_new_life_of_a_signer_is_taken_and_of_its_old_ones_a_few_are_known() -> None:
    memory = ReplayMemory(lambda: None)
    for epoch in range(1, 8):
        assert memory.take("k1", "t", epoch, 5) is Verdict.NEW
    assert [memory.take("k1", "t", epoch, 6) for epoch in range(1, 8)] == [Verdict.AGAIN] * 3 + [Verdict.NEW] * 4


def test_what_was_not_taken_after_all_may_come_again_once() -> None:
    memory = ReplayMemory(lambda: None)
    memory.take("k1", "t", 1, 1)
    memory.forget("k1", "t", 1, 1)
    assert [memory.take("k1", "t", 1, 1) for _ in range(2)] == [Verdict.NEW, Verdict.AGAIN]


def test_it_is_bounded_and_then_lets_in_nobody_new() -> None:
    memory = ReplayMemory(lambda: None, counts_max=2)
    assert [memory.take("k1", topic, 1, 1) for topic in "abc"] == [Verdict.NEW, Verdict.NEW, Verdict.FULL]
    assert memory.follow("k1", "c", 1, 1) is Verdict.FULL
    assert memory.take("k1", "a", 1, 2) is Verdict.NEW


def test_one_key_leaves_the_others_room_however_many_topics_it_uses() -> None:
    memory = ReplayMemory(lambda: None, topics_max=2)
    assert [memory.take("k1", topic, 1, 1) for topic in "abc"] == [Verdict.NEW, Verdict.NEW, Verdict.FULL]
    assert memory.take("k2", "c", 1, 1) is Verdict.NEW
    newer = ReplayMemory(lambda: None, topics_max=2)
    newer.load({part: data for part, data in memory.save().items() if data is not None}, {"k1", "k2"}, refuse)
    assert [newer.take("k1", "d", 1, 1), newer.take("k2", "d", 1, 1)] == [Verdict.FULL, Verdict.NEW]


@pytest.mark.parametrize("data", [b"", b"\x93\x02\x00\x90", b"nonsense"])
def test_what_is_damaged_is_told(data: bytes) -> None:
    told: list[str] = []
    memory = ReplayMemory(lambda: None)
    assert memory.load({"k1 t": data, "k9 t": b"of a key that is gone"}, {"k1"}, lambda part, error: told.append(part)) == ["k1 t", "k9 t"]
    assert told == ["#signed k1 t"]
