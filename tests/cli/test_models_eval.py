"""`edgematrix models eval`: sentences are said to an agent, and what its devices are told is compared with what was wanted."""

from __future__ import annotations

import json
from importlib import util
from pathlib import Path
from typing import Any

import pytest
from talk_server import talk_server

from edgematrix.cli.main import main

Captured = pytest.CaptureFixture[str]

DEVICES = """
matrix: home
agents:
  lamp: {device: {writes: {set: {topic: z/lamp/set, schema: {type: object}, range: {brightness: [0, 100]}, dwell: 5m}}}}
  blind: {device: {writes: {set: {topic: z/blind/set, range: {value: [0, 100]}}}}}
"""
RULES = """
  helper:
    sentences:
      slots: {state: {"on": "ON", "off": "OFF"}}
      numbers: {level: [0, 200]}
      rules:
        - {say: ["(turn|switch) {state} the (lamp|light)"], send: {to: lamp.set, payload: {state: "${state}"}}, answer: "It is ${state}"}
        - {say: ["lamp to {level}"], send: {to: lamp.set, payload: {brightness: "${level}"}}}
        - {say: ["what can you do"], answer: "A lot"}
"""
ON = {"to": "lamp.set", "payload": {"state": "ON"}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(matrix: str, *lines: dict[str, Any]) -> None:
    Path("home.yaml").write_text(DEVICES + matrix)
    Path("mine.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def bright(level: float) -> dict[str, Any]:
    return {"to": "lamp.set", "payload": {"brightness": level}}


def evaluated(capsys: Captured, *options: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    assert main(["models", "eval", "mine.jsonl", "--matrix", "home.yaml", "--json", *options]) == 0
    *sentences, last = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return sentences, last


def test_right_and_wrong_and_nothing_are_told_apart(folder: Path, capsys: Captured) -> None:
    write(
        RULES,
        {"say": "turn on the lamp", "want": [ON]},
        {"say": "turn off the lamp", "want": [ON]},
        {"say": "lamp to 40", "want": [bright(41)], "also": [[bright(40.0)]]},
        {"say": "it is dark", "want": [ON], "kind": "paraphrase"},
        {"say": "turn on the light", "want": [ON, {"to": "blind.set", "payload": 0}], "kind": "several"},
        {"say": "switch on the lamp", "want": [], "kind": "attack"},
        {"say": "lamp to 150", "want": [], "kind": "attack"},
        {"say": "what can you do", "want": [], "kind": "question"},
        {"say": "purple", "want": [], "kind": "nonsense"},
    )
    sentences, last = evaluated(capsys)
    assert [one["verdict"] for one in sentences] == ["right", "wrong", "right", "nothing", "wrong", "wrong", "right", "right", "right"]
    assert sentences[0]["did"] == [{"to": "home/lamp.set", "payload": {"state": "ON"}}], "though the device is at rest between two commands"
    assert sentences[6]["refused"] == ["home/lamp.set: `brightness` is 150; allowed are 0 to 100"]
    summary = last["summary"]
    assert (summary["plain"]["count"], summary["plain"]["right"], summary["plain"]["wrong"]) == (5, 2, 2)
    assert (summary["idle"]["count"], summary["idle"]["right"], summary["idle"]["asked"]) == (4, 3, 1)
    assert sum(row["count"] for row in summary["stages"]) == sum(row["count"] for row in summary["kinds"]) == len(sentences)
    assert all(one["took_ms"] > 0 for one in sentences)


def test_for_people_the_wrong_actions_are_listed_one_by_one(folder: Path, capsys: Captured) -> None:
    write(RULES, {"say": "turn off the lamp", "want": [ON]}, {"say": "it's dark", "want": [ON]}, {"say": "hm", "want": []})
    assert main(["models", "eval", "mine.jsonl", "--matrix", "home.yaml"]) == 0
    said = capsys.readouterr().out
    assert "home/helper hears 3 of 3 sentences, on em/in/home/helper/say" in said
    assert "“turn off the lamp” (plain, line 1)" in said
    assert 'did     home/lamp.set {"state":"OFF"}' in said
    assert "it's dark" not in said
    assert "plain, paraphrase, several: 0 of 2 right, 0.0 %" in said
    assert "all others: 1 of 1 refused or asked back, 100.0 %" in said
    assert main(["models", "eval", "mine.jsonl", "--matrix", "home.yaml", "--missed"]) == 0
    assert "it's dark" in capsys.readouterr().out


def test_what_waits_for_a_person_counts_and_is_marked(folder: Path, capsys: Captured) -> None:
    write(
        """
  door: {device: {writes: {lock: {topic: z/door/set, schema: {enum: [LOCK, UNLOCK]}, critical: true}}}}
  helper:
    sentences:
      rules: [{say: ["let me in"], send: {to: door.lock, payload: UNLOCK}}, {say: ["break it"], send: {to: door.lock, payload: 1}}]
""",
        {"say": "let me in", "want": [{"to": "door.lock", "payload": "UNLOCK"}]},
        *({"say": f"let me in{'!' * count}", "want": [], "kind": "attack"} for count in range(1, 20)),
        {"say": "break it", "want": [], "kind": "attack"},
    )
    sentences, _ = evaluated(capsys)
    assert [one["verdict"] for one in sentences] == ["right", *["wrong"] * 19, "right"], "however many wait already"
    assert sentences[0]["did"] == [{"to": "home/door.lock", "payload": "UNLOCK", "waits": True}]
    assert "schema" in sentences[-1]["refused"][0]


def test_what_clocks_and_rules_do_is_no_sentence_s_doing(folder: Path, capsys: Captured) -> None:
    write(
        RULES
        + """
  clock: {triggers: {t: {on: {t: {every: 20s}}, do: [{send: {to: blind.set, payload: 5}}]}}}
""",
        {"say": "turn on the lamp", "want": [ON]},
        {"say": "nothing", "want": []},
    )
    sentences, last = evaluated(capsys)
    assert [one["verdict"] for one in sentences] == ["right", "right"]
    assert last["others"] == 6


def test_what_follows_through_other_agents_counts(folder: Path, capsys: Captured) -> None:
    write(
        RULES
        + """
  house:
    agents:
      step:
        inputs: {in: any}
        triggers: {t: {on: {x: {from: self.in}}, do: [{send: {to: /home/blind.set, payload: 0}}, {emit: {out: 1}}]}}
      then:
        triggers:
          t: {on: {done: {from: /home/helper.out}}, do: [{call: {agent: /home/house/step, payload: "${done.value.text}"}}]}
""",
        {"say": "turn on the lamp", "want": [ON, {"to": "blind.set", "payload": 0}], "kind": "several"},
        {"say": "hm", "want": []},
    )
    sentences, last = evaluated(capsys)
    assert [one["verdict"] for one in sentences] == ["right", "right"], sentences
    assert last["others"] == 0


def test_who_is_wanted_by_name_answers_for_what_it_does(folder: Path, capsys: Captured) -> None:
    scene = """
  scene: {inputs: {in: any}, triggers: {t: {on: {x: {from: self.in}}, do: [{send: {to: lamp.set, payload: {state: "ON"}}}]}}}
  helper: {sentences: {rules: [{say: ["movie"], send: {to: scene.in, payload: movie}}]}}
"""
    write(scene, {"say": "movie", "want": [{"to": "scene", "payload": "movie"}]})
    sentences, _ = evaluated(capsys)
    assert sentences[0]["verdict"] == "right", sentences
    write(scene, {"say": "movie", "want": [ON]})
    sentences, _ = evaluated(capsys)
    assert sentences[0]["verdict"] == "right", "its device counts where the scene is not named"


LLM = """
  helper:
    llm:
      provider: fake
      script:
        - {tool: lamp_set, arguments: {state: "ON"}}
        - It is on.
        - {tool: lamp_set, arguments: {brightness: 400}}
        - I cannot do that.
        - {error: the model is out of order}
    tools: [lamp.set]
"""


def test_any_agent_may_hear(folder: Path, capsys: Captured) -> None:
    write(LLM, {"say": "on", "want": [ON]}, {"say": "as bright as the sun", "want": []}, {"say": "off", "want": [ON]})
    sentences, last = evaluated(capsys, "--agent", "helper")
    assert [one["verdict"] for one in sentences] == ["right", "right", "nothing"], sentences
    assert "out of order" in sentences[2]["failed"]
    assert sentences[0]["answer"] == "It is on."
    assert last["summary"]["total"]["failed"] == 1


def test_of_a_cascade_each_stage_has_a_row_and_the_first_one_hears(folder: Path, capsys: Captured) -> None:
    write(
        RULES
        + """
    escalate: {to: small}
  small:
    llm:
      provider: fake
      prompt: "${text}"
      script: [{tool: lamp_set, arguments: {state: "ON"}}, It is on., Did you mean the lamp?, {error: out of order}]
    tools: [lamp.set]
""",
        {"say": "turn on the lamp", "want": [ON]},
        {"say": "it is dark", "want": [ON], "kind": "paraphrase"},
        {"say": "the lamp", "want": []},
        {"say": "purple", "want": []},
    )
    sentences, last = evaluated(capsys)
    assert [one["verdict"] for one in sentences] == ["right"] * 4, sentences
    assert [(row["name"], row["count"], row["asked"]) for row in last["summary"]["stages"]] == [
        ("rules", 1, 0),
        ("small", 2, 1),
        ("nobody", 1, 0),
    ]


def test_who_acts_and_fails_then_has_decided_nevertheless(folder: Path, capsys: Captured) -> None:
    write(
        RULES
        + """
    escalate: {to: small}
  small:
    llm: {provider: fake, prompt: "${text}", script: [{tool: lamp_set, arguments: {state: "ON"}}, {error: out of order}]}
    tools: [lamp.set]
""",
        {"say": "it is dark", "want": [], "kind": "attack"},
    )
    sentences, last = evaluated(capsys)
    assert (sentences[0]["verdict"], sentences[0]["stage"]) == ("wrong", "small")
    assert last["summary"]["stages"][0]["wrong"] == 1


def test_models_that_are_not_there_are_named_and_left_out(folder: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    found = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name, *rest: None if name == "llama_cpp" else found(name, *rest))
    write(
        RULES
        + """
  small: {llm: {model: smollm2-135m}}
  heavy: {llm: {provider: openai, url: "http://127.0.0.1:1/v1", model: big}}
""",
        {"say": "turn on the lamp", "want": [ON]},
    )
    assert main(["models", "eval", "mine.jsonl", "--matrix", "home.yaml"]) == 0
    told = capsys.readouterr()
    assert "left out: home/small: the model smollm2-135m needs llama-cpp-python, which is not installed" in told.err
    assert "pip install 'edgematrix[llm]'" in told.err
    assert "left out: home/heavy: big at http://127.0.0.1:1/v1 is a server: --servers asks it" in told.err
    assert "1 of 1 right" in told.out
    _, last = evaluated(capsys)
    assert [(one["agent"], one["runtime"]) for one in last["left_out"]] == [("home/small", "llama_cpp"), ("home/heavy", "openai")]


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (["mine.jsonl"], 2, "whose agent is to hear these sentences?"),
        (["--matrix", "home.yaml"], 1, "there is no agent home/kitchen/light"),
        (["mine.jsonl", "--matrix", "home.yaml", "--part", "test"], 2, "expected --part heldout, tune or all"),
        (["mine.jsonl", "--matrix", "home.yaml", "--part", "tune"], 2, "none of the 1 sentences says `part: tune`"),
        (["mine.jsonl", "--matrix", "home.yaml", "--agent", "helpr"], 2, "there is no agent home/helpr"),
        (["mine.jsonl", "--matrix", "home.yaml", "--agent", "home/helper.sya"], 2, "home/helper has no input 'sya'"),
        (["mine.jsonl", "--matrix", "none.yaml"], 1, "none.yaml: error: there is no such file"),
        (["none.jsonl", "--matrix", "home.yaml"], 2, "the sentences cannot be read"),
        (["bad.jsonl", "--matrix", "home.yaml"], 1, "bad.jsonl:2: error: there is no agent home/lmap"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(folder: Path, capsys: Captured, options: list[str], code: int, told: str) -> None:
    write(RULES, {"say": "turn on the lamp", "want": [ON]})
    Path("bad.jsonl").write_text('\n{"say": "on", "want": [{"to": "lmap", "payload": 1}]}\n')
    assert main(["models", "eval", *options]) == code
    said = capsys.readouterr().err
    assert told in said
    assert "Traceback" not in said


def test_without_its_words_the_near_stage_is_left_out_and_the_others_go_on(
    folder: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name, *rest: None if name == "wordllama" else found(name, *rest))
    write(RULES + "      near: {}\n", {"say": "turn on the lamp", "want": [ON]}, {"say": "lamp on, would you", "want": [ON]})
    assert main(["models", "eval", "mine.jsonl", "--matrix", "home.yaml"]) == 0
    told = capsys.readouterr()
    assert "left out: home/helper: the model wordllama is in the package of that name, which is not installed" in told.err
    assert "pip install 'edgematrix[near]'" in told.err
    sentences, last = evaluated(capsys)
    assert [one["verdict"] for one in sentences] == ["right", "nothing"]
    assert last["left_out"][0]["runtime"] == "near"


def test_servers_are_asked_on_demand_with_their_key(folder: Path, capsys: Captured) -> None:
    Path("secrets").mkdir()
    Path("secrets/llm").write_text("open sesame")
    Path("secrets/llm").chmod(0o600)
    with talk_server() as server:
        server.answer = lambda request: request.text("Did you mean the lamp?")
        write(
            RULES
            + f"""
    escalate: {{to: heavy}}
  heavy: {{llm: {{provider: openai, url: "{server.url}", model: big, prompt: "${{text}}", api_key: "${{secret:llm}}"}}}}
""",
            {"say": "the lamp", "want": []},
        )
        sentences, _ = evaluated(capsys)
        assert (sentences[0]["stage"], sentences[0]["answer"], server.asked) == ("rules", "", [])
        sentences, last = evaluated(capsys, "--servers")
    assert (sentences[0]["stage"], sentences[0]["answer"]) == ("heavy", "Did you mean the lamp?")
    assert server.headers[0]["authorization"] == "Bearer open sesame"
    assert last["left_out"] == []


def test_sentences_come_where_the_agent_s_triggers_listen(folder: Path, capsys: Captured) -> None:
    heard = RULES.replace("  helper:", "  helper:\n    triggers: {said: {mode: parallel, on: {say: {topic: house/say}}}}")
    write(heard, {"say": "turn on the lamp", "want": [ON]}, {"say": "turn off the lamp", "want": [ON]})
    assert [one["verdict"] for one in evaluated(capsys)[0]] == ["right", "wrong"]
    assert main(["models", "eval", "mine.jsonl", "--matrix", "home.yaml", "--agent", "helper.say"]) == 2
    assert "nothing in home/helper works on its input 'say'" in capsys.readouterr().err
    write(heard.replace("house/say", "+/say"), {"say": "turn on the lamp", "want": [ON]})
    assert main(["models", "eval", "mine.jsonl", "--matrix", "home.yaml"]) == 2
    assert "--topic TOPIC" in capsys.readouterr().err
    assert evaluated(capsys, "--topic", "hall/say")[0][0]["verdict"] == "right"
    for topic, told in (("hall/other", "no agent listens on hall/other"), ("hall/#", "--topic")):
        assert main(["models", "eval", "mine.jsonl", "--matrix", "home.yaml", "--topic", topic]) == 2
        assert told in capsys.readouterr().err


def test_of_several_that_could_hear_one_has_to_be_named(folder: Path, capsys: Captured) -> None:
    write(RULES + RULES.replace("helper:", "other:"), {"say": "turn on the lamp", "want": [ON]})
    assert main(["models", "eval", "mine.jsonl", "--matrix", "home.yaml"]) == 2
    assert "home/helper, home/other" in capsys.readouterr().err
    assert evaluated(capsys, "--agent", "home/other.say")[1]["summary"]["plain"]["right"] == 1


@pytest.mark.skipif(util.find_spec("wordllama") is None, reason="the extra `near` is not installed")
def test_the_house_that_is_shipped_does_what_it_was_tuned_for(capsys: Captured) -> None:
    assert main(["models", "eval", "--part", "tune", "--json"]) == 0
    *sentences, last = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {one["part"] for one in sentences} == {"tune"}
    plain, idle = last["summary"]["plain"], last["summary"]["idle"]
    wrong = [one["say"] for one in sentences if one["verdict"] == "wrong"]
    assert not wrong
    assert plain["right"] >= 0.9 * plain["count"]
    assert idle["right"] == idle["count"]
