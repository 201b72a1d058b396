"""A language model's run as a pure step machine: what it is told, what its tools get, and what becomes of answers that are none."""

from __future__ import annotations

from typing import Any

import pytest
from course_drive import emitted, failure, finished, invoked, notes, read
from hypothesis import given
from hypothesis import strategies as st

from edgematrix.composition.course import Cancel, Done, Effect, Event, Fail, Failed, Finish, Invoke, Think, Thought, Tick
from edgematrix.composition.llm_course import LlmCourse
from edgematrix.composition.llm_plan import LlmPlan, LlmTool
from edgematrix.composition.llm_spec import LlmSpec

MOOD = {"type": "object", "properties": {"mood": {"enum": ["good", "bad"]}, "level": {"type": "integer"}}, "required": ["mood"]}
LAMP = LlmTool("lamp_set", "The lamp.", {"type": "object", "properties": {"brightness": {"type": "number", "maximum": 254}}})
HEAT = LlmTool("heater_set", "The heater.", {"type": "number", "minimum": 5, "maximum": 25})
TOOLS = {"lamp_set": LAMP, "heater_set": HEAT}


def course(tools: dict[str, LlmTool] | None = None, **fields: Any) -> LlmCourse:
    return LlmCourse(LlmPlan.compile(read(LlmSpec, provider="fake", **fields), tools or {}))


def think(effects: list[Effect]) -> Think:
    (found,) = [effect for effect in effects if isinstance(effect, Think)]
    return found


def said(course: LlmCourse, step: int, text: str = "", *calls: tuple[str, str, dict[str, Any]], **more: Any) -> list[Effect]:
    return course.take(Thought(step, text, calls, more.pop("tokens", 10), more.pop("took_us", 1_000_000), **more), 0)


def test_the_prompt_is_filled_in_and_the_answer_put_out() -> None:
    run = course(prompt="Is ${room} warm at ${t} degrees?", system="You are brief.")
    asked = think(run.begin({"in": {"room": "the hall", "t": 21.0}}, 0))
    assert [(turn.role, turn.content) for turn in asked.turns] == [
        ("system", "You are brief."),
        ("user", "Is the hall warm at 21 degrees?"),
    ]
    assert asked.tokens_max == 256
    end = said(run, asked.step, " It is. \n")
    assert emitted(end) == {"out": "It is."}
    assert finished(end)


def test_a_prompt_that_names_what_is_not_there_fails_the_run() -> None:
    reason = failure(course(prompt="${room}").begin({"in": {"hall": 1}}, 0)).reason

    assert "the prompt cannot be made" in reason
    remedy = reason.partition("is written ")[2]
    run = course(prompt=f"Where? {remedy}")
    assert think(run.begin({"in": {"hall": 1}}, 0)).turns[-1].content == "Where? "
    run = course(prompt=f"Where? {remedy}")
    assert think(run.begin({"in": {"room": "attic"}}, 0)).turns[-1].content == "Where? attic"


def test_the_fields_of_an_answer_are_put_out_too() -> None:
    run = course(output=MOOD)
    step = think(run.begin({"in": "x"}, 0)).step
    assert emitted(said(run, step, '{"mood": "good", "level": 3}')) == {"out": {"mood": "good", "level": 3}, "mood": "good", "level": 3}
    run = course(output=MOOD)
    step = think(run.begin({"in": "x"}, 0)).step
    assert emitted(said(run, step, '{"mood": "bad"}')) == {"out": {"mood": "bad"}, "mood": "bad"}


@pytest.mark.parametrize("wrong", ["", "good", '{"mood": "so so"}', '{"mood": "good"', "[]", '```json\n{"mood": "good"}\n```', "NaN"])
def test_an_answer_that_is_none_is_asked_for_once_more_and_then_the_run_fails(wrong: str) -> None:
    run = course(output=MOOD)
    first = think(run.begin({"in": "x"}, 0))
    again = said(run, first.step, wrong)
    assert "is asked again" in notes(again)
    asked = think(again)
    assert asked.turns[-2].content == wrong
    assert asked.turns[-1].content.startswith("That is no answer: ")
    assert "no answer that could be used, twice" in failure(said(run, asked.step, wrong)).reason


def test_what_comes_right_the_second_time_is_the_answer() -> None:
    run = course(output=MOOD)
    asked = think(said(run, think(run.begin({"in": "x"}, 0)).step, "hm"))
    assert emitted(said(run, asked.step, '{"mood": "bad"}'))["mood"] == "bad"


def test_a_fallback_is_put_out_where_there_is_no_answer_and_it_is_told() -> None:
    run = course(output=MOOD, fallback={"mood": "good"})
    step = think(run.begin({"in": "x"}, 0)).step
    end = run.take(Failed(step, "the server is gone"), 0)
    assert emitted(end) == {"out": {"mood": "good"}, "mood": "good"}
    assert "the fallback is put out: the model gave no answer: the server is gone" in notes(end)
    assert finished(end)


def test_past_its_deadline_the_fallback_is_put_out_else_it_fails() -> None:
    run = course(deadline="2s", fallback="I do not know.")
    run.begin({"in": "x"}, 1_000_000)
    assert run.deadline_us == 3_000_000
    assert run.take(Tick(), 2_999_999) == []
    assert emitted(run.take(Tick(), 3_000_000)) == {"out": "I do not know."}
    assert run.deadline_us is None
    run = course(deadline="2s")
    run.begin({"in": "x"}, 0)
    assert failure(run.take(Tick(), 2_000_000)).reason == "its deadline of 2s has passed; it waited for the model smollm2-135m"


def test_a_budget_bounds_what_all_answers_of_a_run_take_together() -> None:
    run = course(output=MOOD, max_tokens=100, budget={"tokens": 130})
    first = think(run.begin({"in": "x"}, 0))
    assert first.tokens_max == 100
    second = think(said(run, first.step, "hm", tokens=90))
    assert second.tokens_max == 40
    run = course(output=MOOD, budget={"seconds": "10s"})
    first = think(run.begin({"in": "x"}, 0))
    assert first.time_us_max == 10_000_000
    end = said(run, first.step, "hm", took_us=10_000_000)
    assert "has used up its budget of 10s for a run" in failure(end).reason


def test_an_answer_that_was_cut_is_put_out_and_told() -> None:
    run = course(max_tokens=10)
    assert "was cut at its 10 tokens" in notes(said(run, think(run.begin({"in": "x"}, 0)).step, "and so on", is_cut=True))


# Tools


def test_a_tool_is_called_and_the_model_goes_on_with_what_it_gave() -> None:
    run = course(TOOLS)
    step = think(run.begin({"in": "light, please"}, 0)).step
    call = invoked(said(run, step, "", ("a", "lamp_set", {"brightness": 20})))
    assert (call.member, call.inputs) == ("lamp_set", (("", {"brightness": 20}),))
    assert run.waits_for() == "its tools lamp_set"
    asked = think(run.take(Done(call.step, {"out": {"ok": True}}), 0))
    assert [(turn.role, turn.content, turn.id) for turn in asked.turns[-2:]] == [("assistant", "", ""), ("tool", '{"ok":true}', "a")]
    assert emitted(said(run, asked.step, "It is on.")) == {"out": "It is on."}


def test_a_tool_that_takes_no_object_gets_its_value() -> None:
    run = course(TOOLS)
    step = think(run.begin({"in": "x"}, 0)).step
    assert invoked(said(run, step, "", ("a", "heater_set", {"value": 20.5}))).inputs == (("", 20.5),)


def test_tools_of_one_turn_work_at_once_and_are_all_waited_for() -> None:
    run = course(TOOLS)
    step = think(run.begin({"in": "x"}, 0)).step
    effects = said(run, step, "", ("a", "lamp_set", {}), ("b", "heater_set", {"value": 20}))
    first, second = (effect for effect in effects if isinstance(effect, Invoke))
    assert run.take(Done(second.step, {}), 0) == []
    asked = think(run.take(Failed(first.step, "it is offline"), 0))
    assert [turn.content for turn in asked.turns[-2:]] == ["failed: it is offline", "done"]


def test_what_a_tool_does_not_take_never_reaches_it_and_is_told_to_the_model() -> None:
    run = course(TOOLS)
    step = think(run.begin({"in": "x"}, 0)).step
    effects = said(run, step, "", ("a", "heater_set", {"value": 90}), ("b", "lamp_set", {"brightness": 9_999}))
    assert not [effect for effect in effects if isinstance(effect, Invoke)]
    assert all(turn.content.startswith("refused: ") for turn in think(effects).turns[-2:])


def test_a_tool_that_was_not_given_is_no_answer() -> None:
    run = course(TOOLS)
    step = think(run.begin({"in": "x"}, 0)).step
    effects = said(run, step, "", ("a", "door_unlock", {}))
    assert "there is no tool 'door_unlock'; there are lamp_set, heater_set" in notes(effects)
    assert "twice" in failure(said(run, think(effects).step, "", ("a", "door_unlock", {}))).reason


def test_a_model_that_calls_tools_for_ever_is_ended() -> None:
    run = course(TOOLS, tool_calls_max=3)
    step = think(run.begin({"in": "x"}, 0)).step
    for _ in range(3):
        call = invoked(said(run, step, "", ("a", "lamp_set", {})))
        step = think(run.take(Done(call.step, {}), 0)).step
    assert "wants more than its 3 calls of tools" in failure(said(run, step, "", ("a", "lamp_set", {}))).reason


def test_tools_at_work_are_stopped_at_the_deadline() -> None:
    run = course(TOOLS, deadline="1s", fallback="too late")
    step = think(run.begin({"in": "x"}, 0)).step
    call = invoked(said(run, step, "", ("a", "lamp_set", {})))
    end = run.take(Tick(), 1_000_000)
    assert [effect.step for effect in end if isinstance(effect, Cancel)] == [call.step]
    assert emitted(end) == {"out": "too late"}


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(PLAIN, lambda part: st.lists(part) | st.dictionaries(st.text(), part), max_leaves=5)
NAMES = st.sampled_from(["lamp_set", "heater_set", "door_unlock", ""])
CALLS = st.tuples(st.text(max_size=3), NAMES, st.dictionaries(st.sampled_from(["value", "brightness", "x"]), JSON))
TEXTS = st.text() | st.sampled_from(['{"mood": "good"}', '{"mood": 1}', ""])
STEPS = st.integers(1, 6)
THOUGHTS = st.builds(Thought, STEPS, TEXTS, st.lists(CALLS, max_size=3), st.integers(0, 200), st.integers(0, 30_000_000), st.booleans())
ENDS = st.builds(Done, STEPS, st.dictionaries(st.sampled_from(["out", "x"]), JSON)) | st.builds(Failed, STEPS, st.text())
EVENTS = THOUGHTS | ENDS


@given(st.lists(EVENTS, max_size=30), st.sampled_from([None, {"mood": "bad"}]))
def test_whatever_a_model_says_it_ends_once_calls_only_its_tools_within_their_bounds(events: list[Event], fallback: object) -> None:
    run = course(TOOLS, output=MOOD, fallback=fallback, tool_calls_max=4, budget={"tokens": 1_000})
    effects = run.begin({"in": "x"}, 0)
    for event in events:
        effects += run.take(event, 0)
    calls = [effect for effect in effects if isinstance(effect, Invoke)]
    assert len(calls) <= 4
    for call in calls:
        ((_, value),) = call.inputs
        if call.member == "heater_set":
            assert isinstance(value, (int, float))
            assert 5 <= value <= 25
        else:
            assert call.member == "lamp_set"
            assert isinstance(value, dict)
            assert value.get("brightness", 0) <= 254
    ends = [place for place, effect in enumerate(effects) if isinstance(effect, (Finish, Fail))]
    assert ends in ([], [len(effects) - 1])
    for value in emitted(effects).values():
        assert value in ("good", "bad") or isinstance(value, int) or (isinstance(value, dict) and value["mood"] in ("good", "bad"))


CANDIDATES = [
    {"said": "turn on the lamp", "to": "home/lamp.set", "payload": {"brightness": 254}, "confidence": 0.5},
    {"said": "unlock the door", "to": "home/door.unlock", "payload": True, "confidence": 0.3},
    {"said": "very bright", "to": "home/lamp.set", "payload": {"brightness": 999}, "confidence": 0.1},
    "nonsense",
]


def among(**fields: Any) -> LlmCourse:
    plan = LlmPlan.compile(read(LlmSpec, **{"provider": "fake", "among": "candidates", "prompt": "${text}", **fields}), TOOLS)
    plan.named = {"home/lamp.set": "lamp_set", "home/heater.set": "heater_set"}
    return LlmCourse(plan)


def test_among_candidates_it_may_use_those_tools_alone_that_they_name() -> None:
    run = among()
    asked = think(run.begin({"in": {"text": "bright, please", "candidates": CANDIDATES}}, 0))
    assert asked.tools == ("lamp_set",)
    assert [turn.content for turn in asked.turns] == ["bright, please"]
    refused = said(run, asked.step, "", ("1", "heater_set", {"value": 20}))
    assert "there is no tool 'heater_set'; there are lamp_set" in think(refused).turns[-1].content
    called = said(run, think(refused).step, "", ("2", "lamp_set", {"brightness": 254}))
    assert [effect.member for effect in called if isinstance(effect, Invoke)] == ["lamp_set"]


def test_a_local_model_is_shown_the_candidates_that_it_could_carry_out() -> None:
    asked = think(among(provider="llama_cpp").begin({"in": {"text": "bright, please", "candidates": CANDIDATES}}, 0))
    assert [(turn.role, turn.content, [call.arguments for call in turn.calls]) for turn in asked.turns] == [
        ("user", "turn on the lamp", []),
        ("assistant", "", [{"brightness": 254}]),
        ("user", "bright, please", []),
    ]


@pytest.mark.parametrize("request_", [{"text": "x"}, {"text": "x", "candidates": "none"}, {"text": "x", "candidates": [{"to": 7}]}])
def test_without_candidates_it_is_not_even_asked(request_: dict[str, Any]) -> None:
    assert "names nothing that it may do" in failure(among().begin({"in": request_}, 0)).reason
