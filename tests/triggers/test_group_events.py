"""What a message does that scenarios cannot show: times of events, trails, fields, odd values."""

import subprocess
import sys
from typing import Any

import pytest
from trigger_drive import START_S, Drive

from edgematrix.errors import ExpressionError
from edgematrix.expression import Timestamp
from edgematrix.protocol.event import Trail
from edgematrix.protocol.message import Message
from edgematrix.triggers import Arrival, RunEnded, Tick

S = 1_000_000


def test_an_event_older_than_max_age_is_dropped_and_says_so():
    drive = Drive({"on": {"v": {"topic": "t/v", "max_age": "10s"}}})
    drive.send(20, "t/v", 1, time_us=drive.start_us + 9 * S)
    drive.send(20, "t/v", 2, time_us=drive.start_us + 10 * S)
    drive.send(20, "t/v", 3)
    assert drive.values("v") == [(20.0, 2), (20.0, 3)]
    assert drive.traces[0].describe() == "`g` did not fire: the event of `v` is 11s old, max_age is 10s"


def test_a_message_that_is_too_old_changes_nothing_not_even_a_silence():
    drive = Drive({"on": {"v": {"topic": "t/v", "max_age": "10s", "absent": "60s"}}})
    drive.send(50, "t/v", 1, time_us=drive.start_us)
    drive.to(100)
    assert drive.values("v") == [(60.0, None)]


def test_a_reading_has_the_time_of_its_event_else_that_of_its_arrival():
    drive = Drive({"on": {"a": {"topic": "t/a"}, "b": {"topic": "t/b"}}})
    drive.send(5, "t/a", 1, time_us=drive.start_us + 3 * S)
    drive.send(8, "t/b", 2)
    firing = drive.fired[0][1]
    assert firing.sources["a"].time_us == drive.start_us + 3 * S
    assert firing.sources["b"].time_us == drive.start_us + 8 * S
    assert firing.fired_at_us == drive.start_us + 8 * S


def test_the_scope_of_a_firing_names_everything_and_null_where_a_source_takes_no_part():
    drive = Drive({"need": "any", "on": {"a": {"topic": "t/{room}/a"}, "b": {"topic": "t/b"}}})
    drive.send(5, "t/hall/a", {"x": 1})
    scope = drive.fired[0][1].scope(drive.start_us + 9 * S)
    assert scope == {
        "a": {"value": {"x": 1}, "payload": {"x": 1}, "topic": "t/hall/a", "time": drive.start_us + 5 * S},
        "b": {"value": None, "payload": None, "topic": None, "time": None},
        "captures": {"room": "hall"},
        "key": None,
        "missing": [],
        "now": drive.start_us + 9 * S,
    }
    assert isinstance(scope["now"], Timestamp)


def test_with_keep_all_each_part_of_a_reading_is_a_list():
    drive = Drive({"on": {"v": {"topic": "t/+", "keep": "all", "value": "x"}, "go": {"topic": "go"}}})
    drive.send(1, "t/a", {"x": 1})
    drive.send(2, "t/b", {"x": 2})
    drive.send(3, "go", 1)
    reading = drive.fired[0][1].sources["v"]
    assert reading.value == [1, 2]
    assert reading.payload == [{"x": 1}, {"x": 2}]
    assert reading.topic == ["t/a", "t/b"]
    assert reading.time_us == [drive.start_us + S, drive.start_us + 2 * S]


def test_captures_are_those_of_all_parts_the_newest_where_they_differ():
    drive = Drive({"on": {"a": {"topic": "a/{room}/{dev}"}, "b": {"topic": "b/{room}"}}})
    drive.send(1, "b/hall", 1)
    drive.send(2, "a/bath/lamp", 1)
    assert drive.fired[0][1].captures == {"room": "bath", "dev": "lamp"}


def test_the_trail_has_the_most_hops_all_taints_and_the_first_run():
    definition = {"on": {"a": {"topic": "t/a"}, "b": {"topic": "t/b"}, "c": {"topic": "t/c", "role": "live"}}}
    drive = Drive(definition)
    drive.send(1, "t/c", 1, trail=Trail("c", "run-c", 30, "mail"))
    drive.send(2, "t/a", 1, trail=Trail("a", "run-a", 4, "web", "tp", expiry_us=5))
    drive.send(3, "t/b", 1, trail=Trail("b", "run-b", 2, "mail web"))
    assert drive.fired[0][1].trail == Trail("b", "run-a", 4, "web mail")


def test_a_value_that_is_only_read_adds_no_hops():
    """A counter that reads its own last output by the clock may go on for ever."""
    drive = Drive({"on": {"tick": {"every": 1}, "n": {"topic": "t/n", "role": "live"}}})
    drive.send(0.5, "t/n", 1, trail=Trail("n", "r", 31))
    drive.to(1)
    assert drive.fired[0][1].trail.hops == 0


def test_where_may_name_the_properties_of_its_schema():
    drive = Drive({"on": {"v": {"topic": "t/v", "where": "verdict == 'redo' && value.n > 1"}}}, fields={"v": ["verdict"]})
    drive.send(1, "t/v", {"verdict": "redo", "n": 2})
    drive.send(2, "t/v", {"verdict": "fine", "n": 2})
    drive.send(3, "t/v", {"n": 2})
    drive.send(4, "t/v", "text")
    assert drive.times == [1.0]


def test_a_group_may_be_keyed_by_the_run():
    drive = Drive({"on": {"a": {"topic": "t/a"}, "b": {"topic": "t/b"}}}, key_of_run=True)
    for at, topic, value, run in ((1, "t/a", 1, "r1"), (2, "t/a", 2, "r2"), (3, "t/b", 3, "r2"), (4, "t/b", 4, "r1")):
        drive.send(at, topic, value, trail=Trail("m", run))
    assert [(firing.key, firing.sources["a"].value, firing.sources["b"].value) for _, firing in drive.fired] == [("r2", 2, 3), ("r1", 1, 4)]


def test_a_run_that_is_through_leaves_nothing_behind():
    drive = Drive({"on": {"a": {"topic": "t/a"}, "b": {"topic": "t/b"}}, "keys_max": 1_000}, key_of_run=True)
    for run in range(50):
        drive.send(run, "t/a", 1, trail=Trail("m", f"r{run}"))
        drive.save()
        drive.send(run, "t/b", 1, trail=Trail("m", f"r{run}"))
        drive.save()
    assert len(drive.fired) == 50
    assert list(drive.store) == [""]


@pytest.mark.parametrize("value", [10**400, -(10**400)])
def test_a_whole_number_beyond_all_bounds_is_no_number(value: int):
    drive = Drive({"on": {"v": {"topic": "t/v", "above": 1}, "w": {"topic": "t/v", "changes": {"by": 1}}}, "need": "any"})
    drive.send(1, "t/v", value)
    assert drive.reasons() == ["unknown", "unknown"]


def test_sums_beyond_the_floats_are_unknown():
    drive = Drive({"on": {"v": {"topic": "t/v", "aggregate": {"fn": "sum", "over": "1m"}, "above": 1}}})
    drive.send(1, "t/v", 1e308)
    drive.send(2, "t/v", 1e308)
    assert drive.reasons() == ["unknown"]


def test_true_is_no_number_and_no_one():
    drive = Drive(
        {
            "need": "any",
            "on": {"v": {"topic": "t/v", "above": 0}, "w": {"topic": "t/v", "equals": [1, 2]}, "x": {"topic": "t/v", "is": True}},
        }
    )
    drive.send(1, "t/v", True)
    assert drive.values("v", "w", "x") == [(1.0, None, None, True)]


def test_bytes_are_a_value():
    drive = Drive({"on": {"v": {"topic": "t/v"}}})
    drive.send(1, "t/v", b"\xff\x00")
    drive.send(2, "t/v", b"")
    assert drive.values("v") == [(1.0, b"\xff\x00")]


def test_an_unknown_run_that_ends_is_ignored():
    drive = Drive({"on": {"v": {"topic": "t/v"}}})
    assert drive.step(RunEnded(99)).effects == []


def test_a_tick_before_its_time_does_nothing():
    drive = Drive({"on": {"v": {"every": "10s"}}})
    step = drive.group.step(drive.state, Tick(), drive.start_us + 9_999_999)
    assert (step.effects, step.deadline_us) == ([], drive.start_us + 10 * S)


def test_a_late_tick_takes_the_last_one_that_is_due():
    """A stalled host does not fire a burst."""
    drive = Drive({"on": {"v": {"every": "10s"}}})
    step = drive.group.step(drive.state, Tick(), drive.start_us + 35 * S)
    assert [effect.firing.sources["v"].time_us - drive.start_us for effect in step.effects] == [30 * S]
    assert step.deadline_us == drive.start_us + 40 * S


def test_only_who_goes_by_the_calendar_pays_for_it():
    code = "import sys, edgematrix.triggers; print(*sorted({'apscheduler', 'astral', 'asyncio', 'numpy', 'tzlocal'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""


def test_a_group_that_cannot_be_compiled_says_which_source():
    with pytest.raises(ValueError, match="source `v`: .*five fields"):
        Drive({"on": {"v": {"cron": "* * *"}}})
    with pytest.raises(ExpressionError, match="on.v.where"):
        Drive({"on": {"v": {"topic": "t", "where": "valu > 1"}}})
    with pytest.raises(ExpressionError, match="if "):
        Drive({"on": {"v": {"topic": "t"}}, "if": "w.value > 1"})


def test_a_message_that_hits_no_source_is_no_trouble():
    drive = Drive({"on": {"v": {"topic": "t/v"}}, "by": "room"} | {"on": {"v": {"topic": "t/{room}"}}})
    step = drive.step(Arrival(Message("x", 1), ()))
    assert (step.effects, step.traces) == ([], [])


def test_two_keys_in_one_message():
    """One topic may name two keys to two sources."""
    definition: dict[str, Any] = {"by": "k", "need": "any", "on": {"a": {"topic": "t/{k}/+"}, "b": {"topic": "t/+/{k}"}}}
    drive = Drive(definition)
    drive.send(1, "t/x/y", 5)
    assert [(firing.key, [name for name, reading in firing.sources.items() if reading]) for _, firing in drive.fired] == [
        ("x", ["a"]),
        ("y", ["b"]),
    ]
    assert drive.now_us == (START_S + 1) * S


def test_a_token_that_took_part_at_its_gates_edge_does_not_begin_a_run_of_its_own():
    """One message turns the gate on and is the token of those that wait: each begins one run, and none is empty."""
    on = {"a": {"topic": "t"}, "open": {"topic": "t", "above": 0, "role": "gate"}, "b": {"topic": "t"}}
    drive = Drive({"on": on, "need": "any"})
    drive.send(0, "t", 1)
    runs = [{name: reading and reading.value for name, reading in firing.sources.items()} for _, firing in drive.fired]
    assert runs == [{"a": 1, "open": 1, "b": None}, {"a": None, "open": 1, "b": 1}]
