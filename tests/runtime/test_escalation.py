"""Who is not sure asks the next one, before anything is carried out: sentences, a model, a heavier model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from split_hosts import Net

from edgematrix.config.document import parse_document
from edgematrix.config.reading import parse_matrix
from edgematrix.errors import ConfigError
from edgematrix.runtime.observation import DeadLettered, Noted, StepBegan
from edgematrix.testing.simulator import Restart

HOUSE = """
matrix: home
{defaults}
agents:
  lamp: {{device: {{writes: {{set: {{topic: z/lamp/set}}}}}}}}
  heater: {{device: {{writes: {{set: {{topic: z/heater/set, range: {{value: [5, 25]}}}}}}}}}}
  ears:
    triggers: {{said: {{mode: parallel, on: {{say: {{topic: t/say}}}}}}}}
    sentences:
      slots: {{state: {{"on": "ON", "off": "OFF"}}}}
      rules:
        - {{say: ["(turn|switch) {{state}} the lamp"], send: {{to: lamp.set, payload: "${{state}}"}}, answer: "It is ${{state}}."}}
        - {{say: ["warm please"], send: {{to: heater.set, payload: 21}}, answer: It gets warm.}}
    escalate: {{to: small}}
  small:
    llm: {{provider: fake, prompt: "${{text}}", script: {small}}}
    tools: [lamp.set, heater.set]
    escalate: {{to: heavy{when}}}
  heavy:
    llm: {{provider: fake, prompt: "${{text}} ${{candidates}}", script: {heavy}}}
    tools: [lamp.set, heater.set]
    {more}
"""
SURE = {"tool": "lamp_set", "arguments": {"value": "ON"}, "confidence": 0.9}
UNSURE = {"tool": "lamp_set", "arguments": {"value": "OFF"}, "confidence": 0.3}
WARM = {"tool": "heater_set", "arguments": {"value": 22}}


def house(small: object = (), heavy: object = (), when: str = "", more: str = "", defaults: str = "") -> str:
    return HOUSE.format(small=json.dumps(list(small)), heavy=json.dumps(list(heavy)), when=when, more=more, defaults=defaults)


def said(text: object, at: float = 1) -> tuple[float, str, object]:
    return (at, "t/say", text)


def test_what_a_rule_knows_asks_nobody(play) -> None:
    played = play(house(), [said("Turn on the lamp!")])
    assert played.on("z/lamp/set") == ["ON"]
    (told,) = played.on("em/out/home/ears/out")
    assert (told["answer"], told["stage"], told["confidence"]) == ("It is ON.", "rules", 1.0)
    assert not played.of(StepBegan)


def test_what_no_rule_knows_goes_on_and_a_sure_model_carries_it_out(play) -> None:
    played = play(house([SURE, {"answer": "The lamp is on.", "confidence": 0.2}]), [said("it is dark")])
    assert played.on("z/lamp/set") == ["ON"]
    (told,) = played.on("em/out/home/ears/out")
    assert told == {"text": "it is dark", "by": "home/small", "answer": "The lamp is on."}
    assert [step.member for step in played.of(StepBegan)] == ["home/small", "home/lamp"]


def test_a_doubtful_command_is_not_carried_out_but_asked_further(play) -> None:
    played = play(house([UNSURE], [WARM, "It gets warm."]), [said("brr")])
    assert played.on("z/lamp/set") == []
    assert played.on("z/heater/set") == [22]
    assert played.on("em/out/home/ears/out")[0]["answer"] == "It gets warm."
    assert [step.member for step in played.of(StepBegan)] == ["home/small", "home/heavy", "home/heater"]
    (asked,) = [value for step in played.of(StepBegan) if step.member == "home/heavy" for _, value in step.inputs]
    assert asked["text"] == "brr"
    assert asked["candidates"] == [{"said": "lamp_set", "payload": {"value": "OFF"}, "confidence": 0.3}]


@pytest.mark.parametrize(
    ("when", "answer", "is_asked"),
    [
        (', when: "confidence < 0.2"', {"answer": "So be it.", "confidence": 0.3}, False),
        (', when: "confidence < 0.2"', {"answer": "So be it.", "confidence": 0.1}, True),
        (", when: \"reason.contains('how sure')\"", "So be it.", True),
        ("", {"error": "no model"}, True),
        ("", {"answer": "So be it.", "confidence": 0.6}, False),
    ],
)
def test_when_says_who_answers(play, when: str, answer: object, is_asked: bool) -> None:
    played = play(house([answer], ["I say so."], when), [said("tell me something")])
    (told,) = played.on("em/out/home/ears/out")
    assert told["answer"] == ("I say so." if is_asked else "So be it.")


def test_where_nobody_answers_nothing_is_done_and_the_speaker_hears_why(play) -> None:
    played = play(house([UNSURE], [{"error": "the server is down"}]), [said("brr")])
    assert played.on("z/lamp/set") == []
    (told,) = played.on("em/out/home/ears/unknown")
    assert "home/small could not be asked" in told["reason"]
    assert "the server is down" in told["reason"]
    assert not played.on("em/out/home/ears/out")
    assert not played.of(DeadLettered), "whoever called has heard of it"


def test_an_agent_with_sentences_may_be_the_next_one_and_asks_back_in_its_name(play) -> None:
    more = "\n  last: {sentences: {rules: [{say: [brr], send: {to: heater.set, payload: 20}, answer: ok}]}}"
    text = house(more=more).replace("escalate: {to: small}", "escalate: {to: last}")
    played = play(text, [said("brr"), said("hmm", 2)])
    assert played.on("z/heater/set") == [20]
    (told,) = played.on("em/out/home/ears/out")
    assert (told["answer"], told["by"], told["to"]) == ("ok", "home/last", "home/heater.set")
    (back,) = played.on("em/out/home/ears/unknown")
    assert (back["text"], back["by"], back["reason"]) == ("hmm", "home/last", "no rule knows it")


SLOW = {
    "slow": """
import asyncio

async def think(request: dict, ctx) -> str:
    await asyncio.sleep(20)
    return f"about {request['text']}: yes"
"""
}


def slow(more: str = "", defaults: str = "") -> str:
    """A house whose last stage is code that takes its time."""
    text = house(more="__more__", defaults=defaults).replace("escalate: {to: small}", "escalate: {to: oracle}", 1)
    return text.replace("__more__", f"\n  oracle: {{python: 'slow:think'{more}}}")


def test_a_deadline_of_the_next_one_ends_the_waiting(play) -> None:
    played = play(slow(", deadline: 2s"), [said("brr")], modules=SLOW)
    (told,) = played.on("em/out/home/ears/unknown")
    assert "home/oracle could not be asked" in told["reason"]
    assert "deadline" in told["reason"]
    assert [at for at, topic, _ in played.told if topic == "em/out/home/ears/unknown"] == [3]


def test_several_things_at_once_are_all_done_or_none(play) -> None:
    text = house().replace("    escalate: {to: small}\n", "", 1)
    played = play(text, [said("turn on the lamp, and warm please"), said("turn off the lamp and do a dance", 2)])
    assert played.on("z/lamp/set") == ["ON"]
    assert played.on("z/heater/set") == [21]
    (told,) = played.on("em/out/home/ears/out")
    assert told["answer"] == "It is ON. It gets warm."
    assert [command["to"] for command in told["commands"]] == ["home/lamp.set", "home/heater.set"]
    assert [back["reason"] for back in played.on("em/out/home/ears/unknown")] == ["no rule knows it"]


def test_what_is_no_sentence_is_a_dead_letter_that_says_so(play) -> None:
    played = play(house(), [said(7), said({"text": ["x"]}, 2), said({"text": "turn on the lamp"}, 3)])
    assert played.on("z/lamp/set") == ["ON"]
    letters = played.of(DeadLettered)
    assert len(letters) == 2
    assert all("expected a sentence: a text, or an object with `text`" in letter.reason for letter in letters)


def test_each_stage_tells_the_trace_what_it_made_of_it(play) -> None:
    played = play(house([UNSURE], ["ok"]), [said("brr")])
    notes = "\n".join(str(noted.what) for noted in played.of(Noted))
    assert "by rules nothing, confidence 0.00: no rule knows it" in notes
    assert "home/heavy is asked in its place: confidence 0.30" in notes


def test_durable_stages_go_on_after_a_restart(play) -> None:
    played = play(slow(defaults="defaults: {delivery: durable}"), [said("brr")], modules=SLOW, restarts=[Restart(5_000_000)])
    assert [told["answer"] for told in played.on("em/out/home/ears/out")] == ["about brr: yes"]
    lost = play(slow(), [said("brr")], modules=SLOW, restarts=[Restart(5_000_000)])
    assert lost.on("em/out/home/ears/out") == []


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (("escalate: {to: small}", "escalate: {to: smal}"), "there is no agent home/smal"),
        (("escalate: {to: small}", "escalate: {to: ears}"), "home/ears escalates to itself"),
        (("escalate: {to: small}", "escalate: {to: lamp.set}"), "home/lamp never answers"),
        (("escalate: {to: small}", "escalate: {to: small, when: 'confidenc < 1'}"), "unknown name `confidenc`"),
        (("__more__", "escalate: {to: small}"), "home/small asks home/heavy asks home/small, and so on: nobody answers"),
        (("  lamp: {", "  lamp: {escalate: {to: ears}, "), "`escalate` is for agents with llm: or sentences:"),
    ],
)
def test_what_can_never_answer_is_an_error_of_the_file(change: tuple[str, str], what: str) -> None:
    text = house(more="__more__")
    with pytest.raises(ConfigError) as caught:
        parse_matrix(parse_document(text.replace(*change).replace("__more__", ""), "house.yaml"))
    assert what in "\n".join(issue.what for issue in caught.value.issues)


SPLIT = """
matrix: home
agents:
  heater: {device: {writes: {set: {topic: z/heater/set}}}}
  ears:
    triggers: {said: {mode: parallel, on: {say: {topic: t/say}}}}
    sentences: {rules: [{say: [warm please], send: {to: heater.set, payload: 21}, answer: ok}]}
    escalate: {to: last}
  last:
    sentences: {rules: [{say: [brr], send: {to: heater.set, payload: 25}, answer: hot}]}
    escalate: {to: oracle}
  oracle: {python: "quick:think", deadline: 5s}
  told:
    triggers:
      done: {mode: parallel, on: {r: {from: ears.out}}, do: [{publish: {topic: t/out, payload: "${r.value.answer}"}}]}
      not: {mode: parallel, on: {r: {from: ears.unknown}}, do: [{publish: {topic: t/unknown, payload: "${r.value.reason}"}}]}
"""
QUICK = {"quick": "async def think(request: dict, ctx) -> str:\n    return f'I heard {request[\"text\"]}'\n"}


def test_stages_on_three_hosts_within_their_access_lists_and_one_that_goes(tmp_path: Path) -> None:
    net = Net(tmp_path, SPLIT, {"home/last": "b", "home/oracle": "c"}, modules=QUICK, delay_us=20_000)
    try:
        net.play([(1, "t/say", "warm please"), (2, "t/say", "brr"), (3, "t/say", "hmm")], until=10)
        assert net.on("z/heater/set") == [21, 25]
        assert net.on("t/out") == ["ok", "hot", "I heard hmm"]
        net.go("c")
        net.say("t/say", "hmm")
        net.say("t/say", "brr")
        net.play([], until=30)
        assert net.on("z/heater/set") == [21, 25, 25]
        (reason,) = net.on("t/unknown")
        assert "home/oracle could not be asked" in reason
    finally:
        net.close()
