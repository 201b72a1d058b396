"""How talks are cut to fit, and how a model that knows no tools names them."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from edgematrix.models.envelope import instructed, opened, schema_of
from edgematrix.models.fitting import fitted
from edgematrix.models.talk import Reply, Talk, Tool, ToolCall, Turn
from edgematrix.protocol.schema import compile_schema

TOOLS = (Tool("lamp_set", "The lamp.", {"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"]}),)


def test_what_is_cut_is_the_middle_of_the_longest_message() -> None:
    turns = (Turn("system", "s" * 50), Turn("user", "a" * 25 + "b" * 50 + "c" * 25), Turn("assistant", "short"))
    kept, note = fitted(turns, 75)
    assert [turn.content for turn in kept] == ["s" * 50, "aaaaa" + "c" * 15, "short"]
    assert note == "the prompt is too long: 80 characters in the middle of it were left out"


@given(st.lists(st.builds(Turn, st.sampled_from(["system", "user", "assistant"]), st.text(max_size=200)), max_size=5), st.integers(0, 400))
def test_a_talk_that_is_cut_fits_as_far_as_it_can(turns: list[Turn], room: int) -> None:
    kept, note = fitted(tuple(turns), room)
    length, before = (sum(len(turn.content) for turn in talk) for talk in (kept, turns))
    system = sum(len(turn.content) for turn in turns if turn.role == "system")
    assert length <= max(room, system)
    assert bool(note) == (length < before)
    assert [turn.content for turn in kept if turn.role == "system"] == [turn.content for turn in turns if turn.role == "system"]
    if before <= room:
        assert kept == tuple(turns)


def test_without_tools_nothing_is_put_around_an_answer() -> None:
    talk = Talk((Turn("user", "x"),), schema={"type": "integer"})
    assert schema_of(talk) == {"type": "integer"}
    assert instructed(talk) == talk.turns
    assert opened(Reply("3"), talk, 1) == Reply("3")


def test_with_tools_the_answer_is_a_call_or_an_answer_and_nothing_else() -> None:
    talk = Talk((Turn("user", "x"),), tools=TOOLS)
    schema = schema_of(talk)
    assert schema is not None
    check = compile_schema(schema)
    assert check.refusal({"tool": "lamp_set", "arguments": {"on": True}}) is None
    assert check.refusal({"answer": "It is on."}) is None
    for wrong in ({"tool": "door_unlock", "arguments": {}}, {"tool": "lamp_set", "arguments": {}}, {"tool": "lamp_set"}, "text", {}):
        assert check.refusal(wrong) is not None


def test_a_call_and_an_answer_are_taken_out_of_their_envelope() -> None:
    talk = Talk((Turn("user", "x"),), tools=TOOLS)
    call = opened(Reply('{"tool": "lamp_set", "arguments": {"on": true}}', tokens=9), talk, 3)
    assert call == Reply("", (ToolCall("call-3", "lamp_set", {"on": True}),), 9)
    assert opened(Reply('{"answer": "It is on."}'), talk, 3).text == "It is on."
    typed = Talk((Turn("user", "x"),), tools=TOOLS, schema={"type": "object"})
    assert json.loads(opened(Reply('{"answer": {"a": 1}}'), typed, 3).text) == {"a": 1}


@given(st.text() | st.sampled_from(["null", "[]", '{"tool": 1}', '{"tool": "x", "arguments": []}', '{"x": 1}']))
def test_what_is_in_no_envelope_stays_as_it_is(text: str) -> None:
    found = opened(Reply(text), Talk((Turn("user", "x"),), tools=TOOLS), 1)
    assert found.calls == ()
    assert found.text == text or "answer" in text


def test_what_was_said_with_tools_is_told_in_words() -> None:
    turns = (
        Turn("system", "You are brief."),
        Turn("user", "on!"),
        Turn("assistant", "", (ToolCall("a", "lamp_set", {"on": True}),)),
        Turn("tool", "done", id="a"),
    )
    told = instructed(Talk(turns, tools=TOOLS))
    assert told[0].content.startswith("You are brief.\n\nYou may use these tools:\n- lamp_set: The lamp. Arguments: {")
    assert json.loads(told[2].content) == {"tool": "lamp_set", "arguments": {"on": True}}
    assert (told[3].role, told[3].content) == ("user", "The tool says: done")
