"""What a user reads: why a group did not fire, and what it waits for."""

from typing import Any

import pytest
from trigger_drive import Drive

from edgematrix.triggers import Reason, Trace, describe_match

LIGHTS: dict[str, Any] = {"motion": {"topic": "t/motion"}, "lux": {"topic": "t/lux", "below": 30}}


def words(definition: dict[str, Any], *messages: tuple[float, str, Any], run_s: float | None = 0) -> list[str]:
    drive = Drive(definition, run_s=run_s)
    for at, topic, value in messages:
        drive.send(at, topic, value)
    return [trace.describe().partition(": ")[2] for trace in drive.traces]


GATED: dict[str, Any] = {"v": {"topic": "t"}, "ok": {"topic": "ok", "role": "gate"}}
CONDITIONED: dict[str, Any] = {"v": {"topic": "t"}, "ok": {"topic": "ok", "equals": 1, "role": "condition"}}
PRICED: dict[str, Any] = {"v": {"topic": "t"}, "p": {"topic": "p", "role": "live", "required": True}}
TWO: dict[str, Any] = {"a": {"topic": "a"}, "b": {"topic": "b"}}
ONE: dict[str, Any] = {"v": {"topic": "t"}}


@pytest.mark.parametrize(
    ("definition", "messages", "said"),
    [
        (
            {"on": {"temp": {"topic": "t", "above": 5, "for": "2m"}}},
            [(300, "t", 9), (372, "t", 1)],
            ["`temp` turned ON and must stay so for 2m", "`temp` ON since 00:05, needs 2m, had 1m12s"],
        ),
        ({"on": {"v": {"topic": "t", "above": 5}}}, [(1, "t", 4)], ["`v` stays OFF, no edge"]),
        ({"on": LIGHTS}, [(1, "t/motion", 1)], ["it waits for `lux`"]),
        (
            {"on": LIGHTS, "within": "10s"},
            [(0, "t/motion", 1), (11, "t/lux", 9)],
            ["it waits for `lux`", "the token of `motion` is older than 10s", "it waits for `motion`"],
        ),
        ({"on": {"v": {"topic": "t", "where": "value > 3"}}}, [(1, "t", 2)], ["the message does not pass `where` of `v`"]),
        ({"on": {"v": {"topic": "t", "value": "x"}}}, [(1, "t", {})], ["the value of `v` is unknown"]),
        ({"on": ONE, "cooldown": "1m"}, [(0, "t", 1), (20, "t", 2)], ["in its cooldown for another 40s"]),
        ({"on": ONE, "limit": {"count": 1, "per": "1m"}}, [(0, "t", 1), (20, "t", 2)], ["it fired 1 times within 1m"]),
        ({"on": ONE, "throttle": "1m"}, [(0, "t", 1), (20, "t", 2)], ["throttled for another 40s"]),
        ({"on": ONE, "if": "v.value > 5"}, [(0, "t", 1)], ["`if` is false"]),
        ({"on": {"v": {"topic": "t", "count": {"at_least": 3}}}}, [(0, "t", 1)], ["`v` has 1 of 3"]),
        ({"on": CONDITIONED}, [(0, "t", 1)], ["the condition `ok` is not met"]),
        ({"on": PRICED}, [(0, "t", 1)], ["the required `p` has no value"]),
        (
            {"on": GATED},
            [(0, "ok", 1), (1, "t", 1)],
            ["the gate `ok` came before all regular sources were ready", "it waits for the gate `ok`"],
        ),
        ({"need": "sequence", "on": TWO}, [(0, "b", 1)], ["`b` came before its turn, which is that of `a`", "it waits for `a`"]),
    ],
)
def test_each_message_that_leads_to_no_run_says_why(definition: dict[str, Any], messages: list[Any], said: list[str]):
    assert words(definition, *messages) == said


def test_a_run_that_goes_on_is_named():
    assert words({"on": {"v": {"topic": "t"}}}, (0, "t", 1), (1, "t", 2), run_s=None) == ["a run is going"]


def test_every_message_leaves_a_trace_or_a_run():
    definition = {
        "on": {
            "a": {"topic": "t", "above": 3, "hysteresis": 1, "for": "3s"},
            "b": {"topic": "t", "changes": {"by": 2}},
            "c": {"topic": "t", "role": "optional", "is": 4},
            "d": {"topic": "t", "role": "live"},
        },
        "within": "4s",
    }
    drive = Drive(definition)
    for at, value in enumerate([1, 5, 5, "unknown", None, 3, 4, 2, 9, 9, 9, 9, 1, "x"]):
        step = drive.send(at, "t", value)
        assert step.traces or step.effects


@pytest.mark.parametrize("reason", list(Reason))
def test_each_reason_has_words(reason: Reason):
    details: dict[Reason, tuple[Any, ...]] = {
        Reason.COUNTED: (1, 2),
        Reason.EVICTED: (10, 0),
        Reason.FOR_BROKEN: (0, 1_000_000, 500_000),
        Reason.FULL: (3, "drop_new"),
        Reason.LIMIT: (2, 1_000_000),
        Reason.MISSED: (0, 1_000_000),
        Reason.TIMED_OUT: (("a", "b"),),
        Reason.TOO_OLD: (2_000_000, 1_000_000),
        Reason.WAITS: (("a", "b"), 3),
    }
    none = {
        "anew",
        "cleared",
        "pushed",
        "condition",
        "first",
        "gate",
        "gate_early",
        "if_false",
        "ignored",
        "noted",
        "not_asked",
        "not_kept",
        "no_change",
        "no_key",
    }
    none |= {"off", "replaced", "required", "running", "seeded", "unknown", "where_false"}
    detail = details.get(reason, () if reason.value in none else (5,))
    text = Trace(reason, "g", "k", "src", detail).describe()
    assert text.startswith("`g` for 'k' did not fire: ")
    assert "object" not in text


def test_the_match_of_a_join():
    drive = Drive({"on": LIGHTS, "within": "30s"})
    drive.send(0, "t/lux", 41)
    drive.send(10, "t/motion", 1)
    drive.to(28)
    assert describe_match(drive.group, drive.state, drive.now_us) == "motion ✓ lux ✗ (41, needs < 30) · window 12s left"


def test_the_match_of_all_that_can_wait():
    definition = {
        "on": {
            "a": {"topic": "a", "keep": "all"},
            "b": {"topic": "b", "equals": "open", "for": "1m"},
            "c": {"topic": "c", "role": "live"},
            "d": {"topic": "d", "role": "condition", "not": ["x", "y"], "expires": "5s"},
        },
        "timeout": "5m",
        "cooldown": "10m",
    }
    drive = Drive(definition, run_s=None)
    drive.send(0, "d", "z")
    drive.send(1, "a", 1)
    drive.send(2, "a", 2)
    drive.send(10, "b", "open")
    drive.to(20)
    line = "a ✓ x2 b ✗ (ON, ready in 50s) c = null d ✗ (expired) · time-out in 4m41s"
    assert describe_match(drive.group, drive.state, drive.now_us) == line
    drive.send(30, "d", "z")
    drive.send(69, "d", "z")
    drive.send(70, "c", {"long": "x" * 100})
    text = describe_match(drive.group, drive.state, drive.now_us)
    assert text.startswith('a ✗ b ✓ c = {"long": "xxx')
    assert text.endswith("… d ✓ · cooldown 10m left · 1 running")


def test_the_match_of_a_key_and_of_a_sequence():
    keyed = Drive({"on": {"a": {"topic": "a/{k}"}, "b": {"topic": "b/{k}"}}, "by": "k"})
    keyed.send(1, "a/x", 1)
    assert describe_match(keyed.group, keyed.state, keyed.now_us, "x") == "a ✓ b ✗"
    assert describe_match(keyed.group, keyed.state, keyed.now_us, "y") == "a ✗ b ✗"
    sequence = Drive({"on": {"a": {"topic": "a", "above": 1}, "b": {"topic": "b"}}, "need": "sequence"})
    sequence.send(1, "a", 2)
    sequence.send(2, "a", 0)
    assert describe_match(sequence.group, sequence.state, sequence.now_us) == "a ✓ b ✗"
