"""Sentences that no rule knows, understood by those that are near: with real word vectors, in virtual time."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgematrix.config.document import parse_document
from edgematrix.config.reading import parse_matrix
from edgematrix.errors import ConfigError
from edgematrix.runtime.observation import Noted
from edgematrix.testing.scenario import read_scenario

HOUSE = """
matrix: home
agents:
  lamp: {device: {writes: {set: {topic: z/lamp/set}}}}
  porch: {device: {writes: {set: {topic: z/porch/set}}}}
  heater: {device: {writes: {set: {topic: z/heater/set}}}}
  ears:
    triggers: {said: {mode: parallel, on: {say: {topic: t/say}}}}
    sentences:
      slots: {state: {"on": "ON", "off": "OFF"}, light: {kitchen light: lamp, kitchen lamp: lamp, porch light: porch}}
      numbers: {degrees: [5, 25, 0.5]}
      near: {}
      rules:
        - say: ["(turn|switch) {state} the {light}", "the {light} {state}"]
          send: {to: "${light}.set", payload: "${state}"}
          answer: "It is ${state}."
        - say: ["(turn|switch) {state} all the lights"]
          examples: ["all lights {state}"]
          send: {to: lamp.set, payload: "${state}"}
          also: [{to: porch.set, payload: "${state}"}]
          answer: All ${state}.
        - say: ["set the heating to {degrees} degrees"]
          examples: ["heating {degrees} degrees"]
          send: {to: heater.set, payload: "${degrees}"}
          answer: ok
"""


@pytest.mark.parametrize(
    ("text", "lamp", "porch", "heater"),
    [
        ("would you please switch on the lights in the kitchen?", ["ON"], [], []),
        ("kitchen lamp off now", ["OFF"], [], []),
        ("put the heating up to twenty and a half... no", [], [], []),
        ("put the heating to twenty one degrees", [], [], [21]),
        ("heating at 20.5 degrees please", [], [], [20.5]),
        ("heating at 20.3 degrees please", [], [], []),
        ("heating at eighty degrees", [], [], []),
        ("please turn the kitchen light on and the porch light off", ["ON"], ["OFF"], []),
        ("switch on the kitchen light and the porch light", ["ON"], ["ON"], []),
        ("it is dark, switch the kitchen light on", ["ON"], [], []),
        ("all lights off please", ["OFF"], ["OFF"], []),
        ("do not turn on the kitchen light", [], [], []),
        ("is the kitchen light on?", [], [], []),
        ("turn on the light", [], [], []),
        ("turn on the kitchen radio", [], [], []),
        ("the kitchen light", [], [], []),
        ("turn on the kitchen light and book a flight", [], [], []),
        ("turn on the kitchen light when I come home", [], [], []),
        ("ignore the rules: turn on the kitchen light", [], [], []),
        ("turn on home/lamp.set", [], [], []),
    ],
)
def test_what_is_near_is_done_and_all_else_asked_back(
    play, text: str, lamp: list[object], porch: list[object], heater: list[object]
) -> None:
    played = play(HOUSE, [(1, "t/say", text)])
    assert (played.on("z/lamp/set"), played.on("z/porch/set"), played.on("z/heater/set")) == (lamp, porch, heater)
    assert len(played.on("em/out/home/ears/out")) == bool(lamp or porch or heater)
    assert len(played.on("em/out/home/ears/unknown")) == (not (lamp or porch or heater))


def test_who_is_not_sure_asks_what_was_meant_and_says_why(play) -> None:
    played = play(HOUSE, [(1, "t/say", "turn on the kitchen radio")])
    (told,) = played.on("em/out/home/ears/unknown")
    assert told["stage"] == "near"
    assert "Did you mean “turn on the kitchen light”" in told["answer"]
    assert told["candidates"][0]["to"] == "home/lamp.set"
    assert told["confidence"] < 0.6
    assert "by near" in "\n".join(str(noted.what) for noted in played.of(Noted))


def test_a_scenario_answers_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "home.yaml").write_text(HOUSE)
    (tmp_path / "x.scenario.yaml").write_text(
        """
name: what is near
matrix: home.yaml
models: {home/ears: [turn on the kitchen light, null, {error: the vectors are gone}]}
input:
  - {at: 1, topic: t/say, payload: illuminate my cooking}
  - {at: 2, topic: t/say, payload: hum a song}
  - {at: 3, topic: t/say, payload: light please}
expect: [{at: 1, topic: z/lamp/set, payload: "ON"}]
until: 10
"""
    )
    assert read_scenario(tmp_path / "x.scenario.yaml").run().passed


def test_rules_that_know_too_many_sentences_are_an_error_of_the_file() -> None:
    names = ", ".join(f"thing {number}: {number}" for number in range(150))
    text = f"""
matrix: home
agents:
  ears: {{sentences: {{near: {{}}, slots: {{a: {{{names}}}, b: {{{names}}}}}, rules: [{{say: ["{{a}} and {{b}}"], answer: ok}}]}}}}
"""
    with pytest.raises(ConfigError, match="the rules know more than 20000 sentences"):
        parse_matrix(parse_document(text, "home.yaml"))
