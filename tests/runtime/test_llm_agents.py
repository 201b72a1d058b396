"""Agents that are language models, in virtual time: with models that say what a test tells them to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from live_support import asked

from edgematrix.errors import ConfigError
from edgematrix.runtime.observation import DeadLettered, Noted, StepBegan, StepEnded
from edgematrix.testing.scenario import read_scenario
from edgematrix.testing.simulator import Restart

HOUSE = """
matrix: home
agents:
  lamp:
    device:
      writes:
        set:
          topic: z/lamp/set
          schema:
            type: object
            properties: {{state: {{enum: ["ON", "OFF"]}}, brightness: {{type: integer}}}}
            additionalProperties: false
          range: {{brightness: [0, 254]}}
  heater: {{device: {{writes: {{set: {{topic: z/heater/set, range: {{value: [5, 25]}}}}}}}}}}
  door: {{device: {{writes: {{unlock: {{topic: z/door/unlock, critical: true}}}}}}}}
  clock: {{python: "code:what_time"}}
  helper:
    triggers: {{go: {{mode: parallel, on: {{in: {{topic: t/go}}}}}}}}
    llm: {{provider: fake, {llm}}}
    {more}
  told:
    triggers:
      o: {{mode: parallel, on: {{r: {{from: helper.out}}}}, do: [{{publish: {{topic: t/out, payload: "${{r.value}}"}}}}]}}
      e: {{mode: parallel, on: {{r: {{from: helper.error}}}}, do: [{{publish: {{topic: t/error, payload: "${{r.value.reason}}"}}}}]}}
"""
CODE = {"code": "async def what_time(zone: str, ctx) -> str:\n    return f'noon in {zone}'\n"}
GO = [(1, "t/go", "light, please")]


def house(script: object, more: str = "", **llm: object) -> str:
    return HOUSE.format(llm=", ".join(f"{key}: {json.dumps(value)}" for key, value in {"script": script, **llm}.items()), more=more)


def test_an_answer_is_put_out_and_streamed_in_pieces_before(play) -> None:
    played = play(house(["The hall is dark."]), GO, modules=CODE)
    assert played.on("t/out") == ["The hall is dark."]
    assert played.on("em/part/home/helper/out") == ["The", " hall", " is", " dark."]


def test_fields_that_no_step_wants_are_not_out_of_turn(play) -> None:
    schema = {"type": "object", "properties": {"good": {"type": "boolean"}}, "required": ["good"]}
    judge = {"llm": {"provider": "fake", "script": [{"good": True}], "output": schema}}
    flow = {"inputs": {"text": "text"}, "flow": {"edges": ["text -> judge"]}, "agents": {"judge": judge}}
    rule = {"triggers": {"g": {"on": {"x": {"topic": "t/go"}}, "do": [{"send": {"to": "desk.text", "payload": "${x.value}"}}]}}}

    played = play(json.dumps({"matrix": "home", "agents": {"desk": flow, "rule": rule}}), GO)

    assert len(played.of(StepEnded)) == 1
    assert played.of(Noted) == []


def test_fields_of_a_typed_answer_are_ports(play) -> None:
    schema = {"type": "object", "properties": {"mood": {"type": "string"}, "level": {"type": "integer"}}, "required": ["mood"]}
    reader = "\n  mood: {triggers: {g: {on: {l: {from: helper.level, above: 3}}, do: [{publish: {topic: t/high, payload: 1}}]}}}"
    matrix = house([{"mood": "good", "level": 2}, {"mood": "good", "level": 5}], output=schema) + reader
    played = play(matrix, [*GO, (2, "t/go", "x")], modules=CODE)
    assert [found["mood"] for found in played.on("t/out")] == ["good", "good"]
    assert played.on("t/high") == [1]
    assert not played.on("em/part/home/helper/out"), "half a JSON is of no type"


def test_what_is_no_answer_twice_is_an_error_and_a_dead_letter(play) -> None:
    played = play(house(["maybe", "perhaps"], output="bool"), GO, modules=CODE)
    assert played.on("t/out") == []
    (reason,) = played.on("t/error")
    assert "no answer that could be used, twice: it is no JSON" in reason
    assert len(played.of(DeadLettered)) == 1


def test_tools_are_agents_and_each_call_is_a_step_of_the_run(play) -> None:
    script = [
        {"tool": "clock_in", "arguments": {"value": "Berlin"}},
        {"tool": "lamp_set", "arguments": {"state": "ON", "brightness": 200}},
        {"tool": "heater_set", "arguments": {"value": 21.5}},
        "It is noon, and the lamp is on.",
    ]
    played = play(house(script, "tools: [clock, lamp.set, heater.set]"), GO, modules=CODE)
    assert played.on("z/lamp/set") == [{"state": "ON", "brightness": 200}]
    assert played.on("z/heater/set") == [21.5]
    assert played.on("t/out") == ["It is noon, and the lamp is on."]
    assert [step.member for step in played.of(StepBegan)] == ["home/clock", "home/lamp", "home/heater"]
    assert played.of(StepEnded)[0].outputs == {"out": "noon in Berlin"}


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ({"tool": "lamp_set", "arguments": {"brightness": 255}}, "255 is greater than the maximum of 254"),
        ({"tool": "lamp_set", "arguments": {"state": "on"}}, "is not one of"),
        ({"tool": "lamp_set", "arguments": {"colour": "red"}}, "colour"),
        ({"tool": "heater_set", "arguments": {"value": 90}}, "90 is greater than the maximum of 25"),
        ({"tool": "heater_set", "arguments": {}}, "required"),
        ({"tool": "door_unlock", "arguments": {}}, "there is no tool 'door_unlock'; there are lamp_set, heater_set"),
        ({"tool": "/home/door.unlock", "arguments": {}}, "there is no tool"),
    ],
)
def test_what_it_was_not_given_or_is_out_of_range_reaches_no_device(play, call: object, told: str) -> None:
    played = play(house([call, "I gave up."], "tools: [lamp.set, heater.set]"), GO, modules=CODE)
    assert not [topic for _, topic, _ in played.told if topic.startswith("z/")]
    assert told in "\n".join(str(noted.what) for noted in played.of(Noted))
    assert played.on("t/out") == ["I gave up."]


def test_a_tool_that_fails_is_told_to_the_model_and_costs_no_more(play) -> None:
    broken = {"code": "async def what_time(zone: str, ctx) -> str:\n    raise RuntimeError('no clock')\n"}
    played = play(house([{"tool": "clock_in", "arguments": {"value": "Rome"}}, "I do not know."], "tools: [clock]"), GO, modules=broken)
    assert "no clock" in played.of(StepEnded)[0].reason
    assert played.on("t/out") == ["I do not know."]


def test_tools_below_need_no_other_word(play) -> None:
    more = 'tools: [/home/helper/bell]\n    agents: {bell: {python: "code:what_time"}}'
    played = play(house([{"tool": "bell_in", "arguments": {"value": "x"}}, "Rung."], more), GO, modules=CODE)
    assert [step.member for step in played.of(StepBegan)] == ["home/helper/bell"]
    assert played.on("t/out") == ["Rung."]


def test_calls_per_hour_are_bounded_and_come_back(play) -> None:
    inputs = [(1, "t/go", "a"), (2, "t/go", "b"), (3, "t/go", "c"), ("1h2s", "t/go", "d")]
    played = play(house(["1", "2", "3", "4"], budget={"calls_per_hour": 2}), inputs, "2h", modules=CODE)
    assert played.on("t/out") == ["1", "2", "3"]
    (reason,) = played.on("t/error")
    assert "its budget of 2 calls per hour is used up; the next may be made in 59m59s" in reason


def test_calls_per_hour_are_counted_through_a_restart(play) -> None:
    inputs = [(1, "t/go", "a"), (2, "t/go", "b"), (5, "t/go", "c"), ("1h3s", "t/go", "d")]
    text = house(["1", "2", "3", "4"], budget={"calls_per_hour": 2})
    played = play(text, inputs, "2h", modules=CODE, restarts=[Restart(3_000_000, 0)])
    assert len(played.on("t/out")) == 3
    (reason,) = played.on("t/error")
    assert "its budget of 2 calls per hour is used up" in reason


def test_a_fallback_stands_in_for_an_answer(play) -> None:
    played = play(house([{"error": "out of order"}], fallback="I cannot say."), GO, modules=CODE)
    assert played.on("t/out") == ["I cannot say."]
    assert played.on("t/error") == []


def test_a_failed_model_is_asked_again_where_the_agent_retries(play) -> None:
    played = play(house([{"error": "out of order"}, "Better now."], "retry: {attempts: 2}"), GO, modules=CODE)
    assert played.on("t/out") == ["Better now."]


def test_a_model_is_a_member_of_flows_and_chats(play) -> None:
    matrix = """
matrix: home
agents:
  report:
    inputs: {request: text}
    triggers: {go: {on: {request: {topic: t/go}}}}
    flow: {edges: [request -> draft, draft -> short, short -> summary]}
    outputs: {summary: {}}
    agents:
      draft: {llm: {provider: fake, prompt: "Write about ${value}.", script: ["A long text."]}}
      short: {llm: {provider: fake, script: ["Text."]}}
  told: {triggers: {o: {on: {r: {from: report.summary}}, do: [{publish: {topic: t/out, payload: "${r.value}"}}]}}}
"""
    played = play(matrix, GO)
    assert played.on("t/out") == ["Text."]


def test_a_durable_run_goes_on_after_a_restart(play) -> None:
    wait = {"code": "import asyncio\nasync def what_time(zone: str, ctx) -> str:\n    await asyncio.sleep(5)\n    return zone\n"}
    # The script of a fake begins anew with its host: what the model hears first after the restart is the end of the call in Rome.
    script = [{"tool": "clock_in", "arguments": {"value": "Rome"}}, "It is noon."]
    more = "tools: [clock]\n    delivery: durable"
    matrix = house(script, more).replace('"code:what_time"}', '"code:what_time", delivery: durable}')
    played = play(matrix, [(1, "t/go", "x", False, 1)], modules=wait, restarts=[Restart(3_000_000)])
    assert played.on("t/out") == ["It is noon."]
    assert [step.outputs for step in played.of(StepEnded)] == [{"out": "Rome"}, {"out": "Rome"}]
    assert not played.of(DeadLettered)


def test_models_come_go_and_change_while_it_runs(play) -> None:
    def model(script: list[str]) -> dict[str, object]:
        return {"llm": {"provider": "fake", "script": script}, "triggers": {"go": {"on": {"in": {"topic": "t/go"}}}}}

    inputs = [
        (1, *asked("create", "home/late", spec=model(["one", "never"]))),
        (2, "t/go", "x"),
        (3, *asked("remove", "home/late")),
        (4, *asked("create", "home/late", spec=model(["two"]))),
        (5, "t/go", "x"),
    ]
    played = play("matrix: home\nagents: {}\n", inputs)
    assert played.on("em/out/home/late/out") == ["one", "two"]


# In scenarios


SCENARIO = """
name: the heavy model says what is to be done
matrix:
  matrix: home
  agents:
    heavy: {{triggers: {{go: {{on: {{in: {{topic: t/go}}}}}}}}, llm: {{provider: openai, url: "http://127.0.0.1:9/v1", model: qwen3-8b}}}}
    told:
      triggers:
        o: {{on: {{r: {{from: heavy.out}}}}, do: [{{publish: {{topic: t/out, payload: "${{r.value}}"}}}}]}}
        e: {{on: {{r: {{from: heavy.error}}}}, do: [{{publish: {{topic: t/error, payload: "${{r.value.reason}}"}}}}]}}
{models}
input: [{{at: 1, topic: t/go, payload: hello}}]
expect: {expect}
until: 10
"""


def scenario(tmp_path: Path, models: str, expect: str) -> Path:
    file = tmp_path / "x.scenario.yaml"
    file.write_text(SCENARIO.format(models=models, expect=expect))
    return file


def test_a_scenario_says_what_models_answer(tmp_path: Path) -> None:
    file = scenario(tmp_path, 'models: {home/heavy: ["Hello."]}', '[{at: 1, topic: t/out, payload: "Hello."}]')
    assert read_scenario(file).run().passed


def test_a_simulation_asks_no_server(tmp_path: Path) -> None:
    reason = "the model gave no answer: a simulation asks no server; a scenario says under `models:` what home/heavy is to answer"
    file = scenario(tmp_path, "", f'[{{at: 1, topic: t/error, payload: "{reason}"}}]')
    assert read_scenario(file).run().passed


def test_a_scenario_that_names_no_model_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no model 'home/heavi'.*did you mean 'home/heavy'"):
        read_scenario(scenario(tmp_path, "models: {home/heavi: [x]}", "[]"))
