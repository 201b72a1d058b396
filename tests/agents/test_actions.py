from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from edgematrix.agents.actions import ActionRun, Answer, Awaiting, Done, Failed, Plan, Waiting
from edgematrix.agents.check import check_actions
from edgematrix.agents.effect import Call, Emit, Publish, Send
from edgematrix.agents.spec import ActionSpec
from edgematrix.errors import EdgeMatrixError, ExpressionError, PathError, RunError, StateError, TopicError
from edgematrix.expression import ANY, Timestamp
from edgematrix.protocol.path import AgentPath

SECOND = 1_000_000
NAMES = {"v": {"value": ANY, "payload": ANY, "topic": ANY, "time": ANY}, "captures": ANY, "key": ANY, "missing": ANY, "now": ANY}
RULE = AgentPath("home/hall/rule")


def specs(*actions: Any) -> list[ActionSpec]:
    return TypeAdapter(list[ActionSpec]).validate_python(list(actions))


def plan_of(*actions: Any) -> Plan:
    return Plan.compile(specs(*actions), NAMES, RULE)


def run_of(*actions: Any, value: Any = 7, **scope: Any) -> ActionRun:
    return ActionRun(plan_of(*actions), {"v": {"value": value}, "key": None, "now": None, "missing": [], "captures": {}, **scope})


def test_actions_are_worked_through_in_order():
    run = run_of(
        {"publish": {"topic": "t/${v.value}", "payload": {"was": "${v.value}"}, "qos": 1, "retain": True}},
        {"emit": {"out": "${v.value + 1}", "text": "is ${v.value}"}},
        {"send": {"to": "lamp.set", "payload": "on"}},
        {"send": {"to": "/home/log"}},
    )
    effects, pause = run.advance(0)
    assert effects == [
        Publish("t/7", {"was": 7}, 1, True),
        Emit("out", 8),
        Emit("text", "is 7"),
        Send(AgentPath("home/hall/lamp"), "set", "on"),
        Send(AgentPath("home/log"), "in", None),
    ]
    assert pause == Done()
    assert run.advance(1) == ([], Done())


def test_a_delay_waits_and_a_stop_ends_the_run():
    steps = [
        {"publish": {"topic": "t/out", "payload": "start"}},
        {"stop": "${v.value < 5}"},
        {"delay": "2s"},
        {"publish": {"topic": "t/out", "payload": "end ${v.value}"}},
    ]
    run = run_of(*steps, value=3)
    assert run.advance(5 * SECOND) == ([Publish("t/out", "start")], Done("do.1.stop"))
    run = run_of(*steps)
    assert run.advance(5 * SECOND) == ([Publish("t/out", "start")], Waiting(7 * SECOND))
    assert run.advance(6 * SECOND) == ([], Waiting(7 * SECOND))
    assert run.advance(7 * SECOND) == ([Publish("t/out", "end 7")], Done())


@pytest.mark.parametrize("condition", ["${v.value > 5}", "v.value > 5", " ${ v.value > 5 } "])
def test_when_decides_on_one_action_alone(condition: str):
    steps = [{"publish": {"topic": "a"}, "when": condition}, {"publish": {"topic": "b"}}]
    assert [effect.topic for effect in run_of(*steps, value=9).advance(0)[0]] == ["a", "b"]
    assert [effect.topic for effect in run_of(*steps, value=1).advance(0)[0]] == ["b"]


def test_stop_may_be_a_flag():
    steps = [{"stop": False}, {"stop": True, "when": "v.value > 5"}, {"emit": {"out": 1}}]
    assert run_of(*steps, value=9).advance(0) == ([], Done("do.1.stop"))
    assert run_of(*steps, value=1).advance(0) == ([Emit("out", 1)], Done())


CALLS = [{"call": {"agent": "judge", "payload": "${v.value}", "timeout": "5s"}}, {"emit": {"out": "${result.verdict}"}}]


def test_a_call_waits_for_its_answer_which_later_actions_read():
    run = run_of(*CALLS)
    assert run.advance(SECOND) == ([Call(AgentPath("home/hall/judge"), "in", 7, 5 * SECOND)], Awaiting(6 * SECOND))
    assert run.advance(2 * SECOND) == ([], Awaiting(6 * SECOND))
    assert run.advance(3 * SECOND, Answer({"verdict": "ok"})) == ([Emit("out", "ok", of_request=False)], Done())


@pytest.mark.parametrize(
    ("at_s", "answer", "words"), [(6, None, "not answered in time"), (3, Answer(error="it is broken"), "it is broken")]
)
def test_a_call_without_an_answer_fails_the_run(at_s: int, answer: Answer | None, words: str):
    run = run_of(*CALLS)
    run.advance(SECOND)
    effects, pause = run.advance(at_s * SECOND, answer)
    assert effects == []
    assert isinstance(pause, Failed)
    assert isinstance(pause.error, RunError)
    assert words in str(pause.error)
    assert "do.0.call" in str(pause.error)
    assert run.advance(10 * SECOND, Answer(1)) == ([], pause)


def test_the_answer_of_a_call_that_was_left_out_is_null():
    steps = [{"call": {"agent": "judge"}, "when": "false"}, {"emit": {"out": "${result}"}}]
    assert run_of(*steps).advance(0) == ([Emit("out", None, of_request=False)], Done())


def test_an_error_ends_the_run_after_what_was_done_before():
    run = run_of({"emit": {"out": 1}}, {"emit": {"out": "${v.value.missing}"}}, {"emit": {"out": 3}})
    effects, pause = run.advance(0)
    assert effects == [Emit("out", 1)]
    assert isinstance(pause, Failed)
    assert pause.error.where == "do.1.emit"
    assert "missing" in pause.error.what
    with pytest.raises(StateError):
        run.dump()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("a/b", "'/'"),
        ("a+b", "'+'"),
        ("#", "'#'"),
        ("a\0", "'\\x00'"),
        ("", "empty"),
        (None, "null"),
        ([1], "a list"),
        ({"a": 1}, "an object"),
    ],
)
def test_what_would_change_a_topic_never_enters_it(value: object, words: str):
    effects, pause = run_of({"publish": {"topic": "lamp/${v.value}/set"}}, value=value).advance(0)
    assert effects == []
    assert isinstance(pause, Failed)
    assert words in pause.error.what
    assert pause.error.where == "do.0.publish"


@pytest.mark.parametrize(
    ("value", "topic"), [("hall", "lamp/hall/set"), (5, "lamp/5/set"), (True, "lamp/true/set"), ("wohn zimmer", "lamp/wohn zimmer/set")]
)
def test_other_values_enter_a_topic(value: object, topic: str):
    assert run_of({"publish": {"topic": "lamp/${v.value}/set"}}, value=value).advance(0)[0] == [Publish(topic, None)]


def test_the_bus_itself_is_not_published_on():
    for topic in ("em/in/home/hall/lamp/set", "em"):
        with pytest.raises(TopicError, match="bus's own") as raised:
            plan_of({"publish": {"topic": topic}})
        assert raised.value.where == "do.0.publish.topic"
    _, pause = run_of({"publish": {"topic": "${v.value}/in/home/x/y"}}, value="em").advance(0)
    assert isinstance(pause, Failed)
    assert isinstance(pause.error, TopicError)
    assert run_of({"publish": {"topic": "emx/a"}}).advance(0)[1] == Done()


@pytest.mark.parametrize(
    ("actions", "error", "where"),
    [
        ([{"stop": True}, {}], ExpressionError, "do.1"),
        ([{"stop": True, "delay": 1}], ExpressionError, "do.0"),
        ([{"emit": {}}], ExpressionError, "do.0.emit"),
        ([{"publish": {"topic": "a/${w}"}}], ExpressionError, "do.0.publish.topic 1:5"),
        ([{"publish": {"topic": "a/+"}}], TopicError, "do.0.publish.topic"),
        ([{"publish": {"topic": "a", "payload": {"b": ["${v.val}"]}}}], ExpressionError, "do.0.publish.payload.b.0 1:5"),
        ([{"emit": {"out": "${1 +}"}}], ExpressionError, "do.0.emit.out 1:6"),
        ([{"send": {"to": "Lamp.set"}}], PathError, "do.0.send.to"),
        ([{"call": {"agent": "a//b"}}], PathError, "do.0.call.agent"),
        ([{"stop": "${v.value} or"}], ExpressionError, "do.0.stop 1:1"),
        ([{"stop": "${'yes'}"}], ExpressionError, "do.0.stop 1:1"),
        ([{"emit": {"out": "${result}"}}, {"call": {"agent": "a"}}], ExpressionError, "do.0.emit.out 1:3"),
        ([{"delay": 1, "when": "nobody"}], ExpressionError, "do.0.when 1:1"),
        ([{"delay": 1}] * 1_001, ExpressionError, "do"),
    ],
)
def test_a_wrong_action_is_refused_with_its_place(actions: list[Any], error: type[EdgeMatrixError], where: str):
    with pytest.raises(error) as raised:
        plan_of(*actions)
    assert raised.value.where == where


def test_a_source_named_result_and_a_call_do_not_go_together():
    with pytest.raises(ExpressionError, match="rename the source"):
        Plan.compile(specs({"call": {"agent": "a"}}), {**NAMES, "result": {"value": ANY}}, RULE)


def test_the_wires_of_a_plan_are_what_it_sends_to_and_calls():
    plan = plan_of(
        {"send": {"to": "lamp.set"}}, {"send": {"to": "lamp.set"}}, {"call": {"agent": "/home/judge"}}, {"send": {"to": "parent.in"}}
    )
    assert plan.wires == ((AgentPath("home/hall/lamp"), "set"), (AgentPath("home/judge"), "in"), (AgentPath("home/hall"), "in"))


def test_now_is_the_moment_of_the_step_that_reads_it():
    run = run_of({"emit": {"out": "${now}"}}, {"delay": 5}, {"emit": {"out": "${now}", "late": "${now - timestamp(0) >= duration('5s')}"}})
    assert run.advance(0)[0] == [Emit("out", "1970-01-01T00:00:00Z")]
    assert run.advance(5 * SECOND, wall_us=9 * SECOND)[0] == [Emit("out", "1970-01-01T00:00:09Z"), Emit("late", True)]


def test_what_looks_wrong_is_told():
    actions = specs(
        {"publish": {"topic": "lamp/set", "payload": {"state": "TOGGLE"}}},
        {"publish": {"topic": "lamp/set", "payload": "toggle"}},
        {"delay": "31s"},
        {"delay": "30s"},
        {"emit": {"out": "toggle"}},
    )
    findings = check_actions(actions, durable=False)
    assert [(finding.severity, finding.where) for finding in findings] == [
        ("warning", "do.0.publish.payload"),
        ("warning", "do.1.publish.payload"),
        ("warning", "do.2.delay"),
    ]
    assert [finding.where for finding in check_actions(actions, durable=True)] == ["do.0.publish.payload", "do.1.publish.payload"]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8"))
    | st.binary()
    | st.builds(Timestamp, st.integers()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=3), inner, max_size=3),
    max_leaves=6,
)
STEPS = st.lists(
    st.sampled_from(
        [
            {"delay": 2},
            {"emit": {"out": "x ${v.payload}"}},
            {"emit": {"out": "${key}"}},
            {"call": {"agent": "judge", "timeout": 5}},
            {"stop": "${key == 'stop'}"},
        ]
    ),
    max_size=6,
)


@given(STEPS, JSON, st.lists(st.integers(0, 7), max_size=8), JSON)
def test_a_run_goes_on_after_being_stored_as_if_nothing_had_happened(steps: list[Any], value: object, waits: list[int], answer: object):
    plan = plan_of(*steps)
    scope = {"v": {"value": value, "payload": value}, "key": "stop" if value is None else value, "captures": {"a": "b"}}
    straight, stored = ActionRun(plan, scope), ActionRun(plan, scope)
    now_us = 0
    for wait in waits:
        now_us += wait * SECOND
        given = Answer(answer) if wait % 2 else None
        outcome = straight.advance(now_us, given)
        again = stored.advance(now_us, given)
        assert repr(again) == repr(outcome)
        if isinstance(outcome[1], Failed):
            return
        stored = ActionRun.load(plan, stored.dump())


@given(st.binary(max_size=40))
def test_damaged_bytes_are_refused(data: bytes):
    with pytest.raises(StateError):
        ActionRun.load(plan_of({"delay": 1}), data)


def test_a_stored_run_of_another_definition_is_refused():
    run = run_of({"delay": 1}, {"emit": {"out": 1}})
    run.advance(0)
    data = run.dump()
    with pytest.raises(StateError, match="another definition"):
        ActionRun.load(plan_of({"delay": 1}, {"emit": {"out": 2}}), data)
    whole = plan_of({"delay": 1}, {"emit": {"out": 1}})
    assert ActionRun.load(whole, data).advance(SECOND) == ([Emit("out", 1)], Done())
    for cut in range(len(data)):
        with pytest.raises(StateError):
            ActionRun.load(whole, data[:cut])
