"""What a group stores, what it takes up again, and clocks that were set meanwhile."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trigger_drive import Drive, spec_of

from edgematrix.errors import StateError
from edgematrix.protocol.event import Trail
from edgematrix.triggers import Calendar, Group

S = 1_000_000
JOIN: dict[str, Any] = {"by": "k", "on": {"x": {"topic": "t/{k}/x"}, "y": {"topic": "t/{k}/y"}}}


def test_only_what_has_changed_is_written():
    drive = Drive(JOIN)
    for key in range(100):
        drive.send(1, f"t/{key}/x", key)
    assert len(drive.save()) == 101
    assert drive.save() == {}
    drive.send(2, "t/7/x", 5)
    assert set(drive.save()) == {"7"}


def test_a_key_that_goes_is_deleted_from_the_store_and_only_if_it_is_there():
    drive = Drive(JOIN | {"keys_max": 2})
    for key in "abcd":
        drive.send(1, f"t/{key}/x", 1)
    assert set(drive.save()) == {"", "c", "d"}
    drive.send(2, "t/e/x", 1)
    drive.send(3, "t/f/x", 1)
    assert {key for key, data in drive.save().items() if data is None} == {"c", "d"}


def test_a_group_that_is_never_saved_does_not_remember_the_keys_that_went():
    drive = Drive(JOIN | {"keys_max": 2})
    for key in range(100):
        drive.send(key, f"t/{key}/x", 1)
    assert not drive.state.keys.gone
    assert len(drive.state.keys.changed) == 2


def test_the_order_of_use_outlives_a_restart():
    drive = Drive(JOIN | {"keys_max": 2})
    drive.send(1, "t/a/x", 1)
    drive.send(2, "t/b/x", 1)
    drive.send(3, "t/a/x", 2)
    drive.restart(4)
    drive.send(5, "t/c/x", 1)  # b goes
    drive.send(6, "t/a/y", 1)
    assert [(firing.key, firing.sources["x"].value) for _, firing in drive.fired] == [("a", 2)]


def test_a_key_may_be_the_empty_text():
    drive = Drive({"on": {"a": {"topic": "t/a"}, "b": {"topic": "t/b"}}}, key_of_run=True)
    drive.send(1, "t/a", 1)
    drive.restart(2)
    drive.send(3, "t/b", 2)
    assert [firing.key for _, firing in drive.fired] == [""]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES, st.text(max_size=5))
def test_any_value_outlives_a_restart(value: Any, taint: str):
    drive = Drive(
        {"on": {"a": {"topic": "t/+"}, "b": {"topic": "go"}, "c": {"topic": "c", "role": "live"}}, "debounce": "10s", "mode": "queued"}
    )
    drive.send(1, "t/x", {"inside": value}, trail=Trail("id", "run", 3, taint), time_us=5)
    drive.restart(2)
    drive.send(3, "c", [value])
    drive.send(4, "go", 1)
    drive.restart(5)
    drive.to(20)
    (_, firing) = drive.fired[0]
    assert firing.sources["a"].value == {"inside": value}
    assert firing.sources["a"].payload == {"inside": value}
    assert (firing.sources["a"].topic, firing.sources["a"].time_us) == ("t/x", 5)
    assert firing.sources["c"].value == [value]
    assert (firing.trail.runid, firing.trail.hops) == ("run", 3)


def test_a_value_without_a_stored_form_says_so():
    drive = Drive({"on": {"a": {"topic": "t/a"}, "b": {"topic": "t/b"}}})
    drive.send(1, "t/a", object())
    with pytest.raises(StateError, match="no stored form"):
        drive.save()


@given(st.data())
def test_all_damage_is_told(data: st.DataObject):
    drive = Drive(JOIN | {"timeout": "1m", "throttle": "10s"})
    drive.send(1, "t/a/x", {"v": [1, 2.5, "x"]})
    drive.send(2, "t/b/x", 1)
    drive.send(2, "t/b/y", 1)
    drive.save()
    key = data.draw(st.sampled_from(sorted(drive.store)))
    stored = bytearray(drive.store[key])
    place = data.draw(st.integers(0, len(stored) - 1))
    if data.draw(st.booleans()):
        del stored[place:]
    else:
        stored[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(StateError):
        drive.group.load(drive.store | {key: bytes(stored)})


def test_a_state_of_another_version_is_refused():
    drive = Drive(JOIN)
    drive.save()
    with pytest.raises(StateError, match="version 99"):
        drive.group.load({"": msgspec.msgpack.encode([99, 0, None])})
    with pytest.raises(StateError, match="lacks"):
        drive.group.load({})


def test_a_changed_definition_takes_over_what_it_still_has():
    old = Drive({"on": {"a": {"topic": "t/a"}, "b": {"topic": "t/b"}, "v": {"topic": "t/v", "above": 5, "role": "condition"}}})
    old.send(1, "t/a", "kept")
    old.send(2, "t/v", 9)
    old.save()
    new = Drive(
        {
            "on": {
                "tick": {"every": "100s", "role": "optional"},
                "b": {"topic": "t/b"},
                "a": {"topic": "t/a", "keep": "all"},
                "v": {"topic": "t/v", "is": 9, "role": "optional"},
            }
        }
    )
    new._take(new.group.resume(new.group.load(old.store), new.now_us + 10 * S))
    new.now_us += 10 * S
    assert new.deadline_s == 110
    new.send(11, "t/b", 1)
    assert new.values("a", "v") == [(11.0, ["kept"], None)]


def test_samples_that_a_changed_aggregate_cannot_take_are_left_out():
    def group(fn: str) -> dict[str, Any]:
        return {"on": {"v": {"topic": "t", "aggregate": {"fn": fn, "over": "1h"}}}}

    old = Drive(group("last"))
    for value in ("text", 3, {"a": 1}):
        old.send(1, "t", value)
    old.save()
    new = Drive(group("mean"))
    new._take(new.group.resume(new.group.load(old.store), new.now_us + 2 * S))
    new.send(3, "t", 5)
    assert new.values("v") == [(3.0, 4)]


def test_a_changed_sequence_starts_anew():
    old = Drive({"need": "sequence", "on": {"a": {"topic": "t/a"}, "b": {"topic": "t/b"}, "c": {"topic": "t/c"}}})
    old.send(1, "t/a", 1)
    old.send(2, "t/b", 1)
    old.save()
    for order, done in ((("a", "b", "c", "d"), 2), (("b", "a", "c"), 0)):
        group = Group(
            spec_of({"need": "sequence", "on": {name: {"topic": f"t/{name}"} for name in order}}), path="p", name="g", calendar=Calendar()
        )
        assert group.load(old.store).main.done == done


def test_runs_that_outlive_a_restart_are_kept():
    drive = Drive({"on": {"v": {"topic": "t/v"}}, "mode": "queued"}, run_s=None)
    drive.send(1, "t/v", 1)
    drive.send(2, "t/v", 2)
    drive.restart(3, runs_kept=[1])
    assert drive.values("v") == [(1.0, 1)]
    drive.end(1)
    assert drive.values("v") == [(1.0, 1), (3.0, 2)]


def test_other_runs_are_abandoned_and_numbers_do_not_come_twice():
    drive = Drive({"on": {"v": {"topic": "t/v"}}, "mode": "queued"}, run_s=None)
    drive.send(1, "t/v", 1)
    drive.send(2, "t/v", 2)
    drive.restart(3)
    assert [run for _, run, _ in drive.starts] == [1, 2]
    assert "abandoned" in drive.reasons()


def test_a_wall_clock_that_went_back_while_down_delays_nothing_for_long():
    """A board without a battery begins in the past: the timeline goes on where it stopped."""
    drive = Drive({"on": {"v": {"topic": "t/v", "above": 5, "for": "60s"}}})
    drive.send(10, "t/v", 9)
    drive.to(30)
    drive.save()
    past_us = drive.now_us - 1_000_000 * S
    step = drive.group.resume(drive.group.load(drive.store), past_us)
    assert step.deadline_us == past_us + (70 - 10) * S  # the last thing stored was that of 10 s


def test_a_wall_clock_that_was_set_before_the_restart_does_not_make_timers_late():
    drive = Drive({"on": {"v": {"topic": "t/v", "above": 5, "for": "60s"}, "t": {"at": "12:00", "role": "optional"}}})
    drive.send(10, "t/v", 9)
    drive.set_clock(20, 5 * 3600)
    drive.to(30)
    drive.save()
    wall_us = drive.now_us + 5 * 3600 * S
    step = drive.group.resume(drive.group.load(drive.store), wall_us)
    assert step.deadline_us == wall_us + 40 * S


NINE_S = 9 * 3600.0


def clock(definition: dict[str, Any] | None = None, at_s: float = NINE_S) -> Drive:
    drive = Drive({"on": {"t": definition or {"at": "09:00"}}})
    drive.to(at_s)
    return drive


def test_a_clock_set_back_does_not_tick_twice():
    drive = clock(at_s=NINE_S + 60)
    drive.set_clock(NINE_S + 60, -600)
    drive.to(NINE_S + 3600)
    assert drive.times == [NINE_S]
    drive.to(NINE_S + 86_400 + 600)
    assert drive.times == [NINE_S, NINE_S + 86_400 + 600]


def test_a_clock_set_forward_over_a_tick_ticks_at_once_if_it_is_not_too_late():
    drive = clock(at_s=NINE_S - 100)
    drive.set_clock(NINE_S - 100, 130)
    drive.to(NINE_S)
    assert drive.times == [NINE_S - 100]


def test_a_clock_set_forward_too_far_misses_the_tick_and_says_so():
    drive = clock(at_s=NINE_S - 100)
    drive.set_clock(NINE_S - 100, 3600)
    drive.to(NINE_S + 3600)
    assert drive.times == []
    assert drive.traces[-1].describe() == "`g` did not fire: the tick of `t` at 09:00 was missed, 58m20s late"


def test_a_clock_that_was_far_ahead_ticks_again_when_it_is_right():
    drive = clock(at_s=NINE_S + 60)
    drive.set_clock(NINE_S + 60, -30 * 86_400)
    drive.to(NINE_S + 60 + 86_400)
    assert drive.times == [NINE_S, NINE_S + 86_400]


def test_a_clock_set_moves_what_comes_later():
    drive = clock(at_s=0)
    drive.set_clock(10, 3600)
    drive.to(NINE_S)
    assert drive.times == [NINE_S - 3600]


def test_every_does_not_care_about_the_wall_clock():
    drive = clock({"every": "1h"}, at_s=0)
    drive.set_clock(10, 5 * 3600)
    drive.to(7200)
    assert drive.times == [3600.0, 7200.0]


def test_a_window_of_the_day_is_not_left_and_entered_again_by_a_small_step_back():
    drive = clock({"during": "09:00-10:00"}, at_s=NINE_S + 5)
    drive.set_clock(NINE_S + 5, -60)
    drive.to(NINE_S + 600)
    assert drive.times == [NINE_S]
    drive.to(NINE_S + 86_400 + 60)
    assert drive.times == [NINE_S, NINE_S + 86_400 + 60]


def test_a_window_of_the_day_that_is_leapt_into_turns_on():
    drive = clock({"during": "09:00-10:00"}, at_s=100)
    drive.set_clock(100, NINE_S)
    drive.to(200)
    assert drive.times == [100.0]


def test_a_window_of_the_day_that_is_leapt_over_is_nothing():
    drive = clock({"during": "09:00-10:00"}, at_s=100)
    drive.set_clock(100, NINE_S + 7200)
    drive.to(200)
    assert drive.times == []
