"""From firing to run: modes whose runs end at once or never, what is over the limit, the rate, many keys with timers."""

from typing import Any

from trigger_drive import Drive

from edgematrix.protocol.message import Message
from edgematrix.triggers import Arrival, DeadLetter, RunEnded, Start, Tick

S = 1_000_000
ANY: dict[str, Any] = {"need": "any", "on": {"a": {"topic": "t/v"}, "b": {"topic": "t/v"}, "c": {"topic": "t/v"}}}


def test_edges_of_one_message_all_run_if_each_run_is_over_at_once():
    drive = Drive(ANY, run_s=0)
    drive.send(1, "t/v", 5)
    drive.to(2)
    assert drive.values("a", "b", "c") == [(1.0, 5, None, None), (1.0, None, 5, None), (1.0, None, None, 5)]


def test_edges_of_one_message_are_dropped_while_the_first_run_goes_on():
    drive = Drive(ANY, run_s=10)
    drive.send(1, "t/v", 5)
    assert drive.deadline_s == 1  # what waits for word of the run is settled at this instant
    drive.to(20)
    assert drive.values("a", "b", "c") == [(1.0, 5, None, None)]
    assert drive.reasons().count("running") == 2
    assert drive.deadline_us is None


def test_a_message_settles_what_is_pending_before_itself():
    drive = Drive(ANY, run_s=None)
    step = drive.group.step(drive.state, Arrival(Message("t/v", 1), ((0, {}), (1, {}))), drive.now_us)
    assert [effect.run for effect in step.effects if isinstance(effect, Start)] == [1]
    step = drive.group.step(step.state, Arrival(Message("t/v", 2), ((2, {}),)), drive.now_us)
    assert step.effects == []
    assert [trace.reason.value for trace in step.traces] == ["running", "running"]
    assert step.deadline_us is None


def test_restart_cancels_what_runs():
    drive = Drive({"on": {"v": {"topic": "t/v"}}, "mode": "restart"}, run_s=None)
    for at in (1, 2, 3):
        drive.send(at, "t/v", at)
    assert drive.cancelled == [1, 2]
    assert [run for _, run, _ in drive.starts] == [1, 2, 3]


def test_what_finds_no_room_is_dead_lettered_with_the_reason():
    drive = Drive({"on": {"v": {"topic": "t/v"}}, "mode": "queued", "max": 2, "overflow": "dead_letter"}, run_s=None)
    for at in (1, 2, 3):
        drive.send(at, "t/v", at)
    (dead,) = drive.dead
    assert isinstance(dead, DeadLetter)
    assert dead.firing.sources["v"].value == 3
    assert "2 runs" in dead.reason


def test_the_queue_runs_in_order_one_at_a_time():
    drive = Drive({"on": {"v": {"topic": "t/v"}}, "mode": "queued"}, run_s=2)
    for value in (1, 2, 3):
        drive.send(0, "t/v", value)
    drive.to(20)
    assert drive.values("v") == [(0.0, 1), (2.0, 2), (4.0, 3)]


def test_the_rate_counts_all_keys_together_and_runs_of_the_next_second():
    drive = Drive({"on": {"v": {"topic": "t/{k}"}}, "by": "k", "rate_max": 3}, run_s=0)
    for place in range(5):
        drive.send(0.1 * place, f"t/{place}", place)
    drive.send(1.0, "t/9", 9)
    assert [firing.key for _, firing in drive.fired] == ["0", "1", "2", "9"]
    assert drive.traces[-1].describe() == "`g` for '4' did not fire: paused: over 3 firings within a second"


def test_without_a_rate_a_thousand_firings_a_second_are_fine():
    drive = Drive({"on": {"v": {"topic": "t/v"}}, "rate_max": "none"}, run_s=0)
    for place in range(1_200):
        drive.send(0, "t/v", place)
    assert len(drive.fired) == 1_200


def test_ten_thousand_timers_go_off_in_order_and_the_heap_stays_small():
    drive = Drive({"on": {"v": {"topic": "t/{k}", "above": 5, "for": "60s", "expires": "1h"}}, "by": "k", "rate_max": "none"}, run_s=0)
    for place in range(2_000):
        drive.now_us = drive.start_us + place * 1_000
        drive.step(Arrival(Message(f"t/{place}", 9), ((0, {"k": f"{place}"}),)))
    for again in range(5):
        for place in range(0, 2_000, 2):  # OFF and ON: the timers of these begin anew
            drive.now_us = drive.start_us + (10 + again) * S + place * 1_000
            for value in (1, 9):
                drive.step(Arrival(Message(f"t/{place}", value), ((0, {"k": f"{place}"}),)))
    assert len(drive.state.keys.heap) <= 4 * 2_000 + 64
    assert drive.deadline_s == 60.001
    drive.to(200)
    assert [firing.key for _, firing in drive.fired] == [f"{place}" for place in range(1, 2_000, 2)] + [
        f"{place}" for place in range(0, 2_000, 2)
    ]
    assert drive.times[0] == 60.001
    assert drive.times[1_000] == 74.0


def test_an_evicted_key_takes_its_timers_and_its_runs_with_it():
    drive = Drive({"on": {"v": {"topic": "t/{k}", "above": 5, "for": "60s"}}, "by": "k", "keys_max": 1}, run_s=None)
    drive.send(0, "t/a", 9)
    drive.send(1, "t/b", 9)
    assert drive.deadline_s == 61
    assert drive.traces[-1].describe() == "`g` for 'a' did not fire: forgotten, for there are more than 1 keys; it held 0 firings"
    drive.to(61)
    drive.send(62, "t/c", 9)
    assert drive.step(RunEnded(1)).effects == []
    drive.to(200)
    assert [firing.key for _, firing in drive.fired] == ["b", "c"]


def test_timers_of_one_instant_come_one_by_one_in_written_order():
    drive = Drive({"need": "sequence", "on": {"one": {"every": "10s"}, "two": {"every": "10s"}}})
    assert drive.group.step(drive.state, Tick(), drive.start_us + 10 * S).deadline_us == drive.start_us + 10 * S
    drive.to(10)
    assert drive.times == [10.0]


def test_a_shared_token_without_any_key_says_so():
    drive = Drive({"on": {"go": {"topic": "go"}, "v": {"topic": "t/{k}", "role": "live"}}, "by": "k"})
    drive.send(1, "go", 1)
    assert drive.traces[-1].describe() == "`g` did not fire: no key is known yet that it could be for"
