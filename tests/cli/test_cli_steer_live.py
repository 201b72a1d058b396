"""The commands that change a running matrix, beside a real host."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from broker_process import BrokerProcess
from cli_process import Ear, Running, call

MATRIX = """
matrix: works
agents:
  lamp: {device: {writes: {set: {topic: steer/lamp/set}}}}
  person: {human: {ask: "Really ${value}?", choices: ["yes", "no"], timeout: 1m}}
  report:
    outputs: {said: {from: ask}}
    flow: {edges: [in -> ask]}
    agents: {ask: {human: {ask: "Publish?", timeout: 1m}}, again: {human: {ask: "And ${answer}?", timeout: 1m}}}
"""
RULE = "triggers: {high: {on: {t: {topic: steer/t, above: 5}}, do: [{publish: {topic: steer/out, payload: '${t.value}'}}]}}"


@pytest.fixture
def works(tmp_path: Path, own_broker: Callable[..., BrokerProcess], start: Callable[..., Running]) -> Path:
    """The folder of a run."""
    broker = own_broker("mosquitto")
    broker.start()
    (tmp_path / "works.yaml").write_text(MATRIX)
    (tmp_path / "rule.yaml").write_text(RULE)
    start("run", "works.yaml", "--broker", broker.url, "--name", "pi", cwd=tmp_path).wait_for("  connected")
    (tmp_path / "port").write_text(str(broker.port))
    return tmp_path


@pytest.fixture
def ear(works: Path) -> Iterator[Ear]:
    found = Ear(int((works / "port").read_text()), "#")
    yield found
    found.close()


def out(ear: Ear) -> bytes:
    return ear.wait_for(lambda topic, _: topic == "steer/out")[1]


def test_a_rule_comes_works_is_paused_resumed_copied_and_goes(works: Path, ear: Ear):
    assert call("create", "works/rule", "rule.yaml", cwd=works).returncode == 0
    ear.say("steer/t", "7")
    assert out(ear) == b"7"

    assert call("pause", "works/rule", cwd=works).returncode == 0
    refused = call("pause", "works/rule", cwd=works)
    assert (refused.returncode, "it is paused already" in refused.stderr) == (1, True)
    ear.say("steer/t", "1")
    ear.say("steer/t", "8")
    assert call("resume", "works/rule", cwd=works).returncode == 0
    ear.say("steer/t", "1")
    ear.say("steer/t", "9")
    assert out(ear) == b"9", "8 came while it was paused"

    assert call("duplicate", "works/rule", "works/copy", cwd=works).returncode == 0
    assert call("remove", "works/rule", cwd=works).returncode == 0
    gone = call("remove", "works/rule", cwd=works)
    assert (gone.returncode, "there is no agent works/rule" in gone.stderr) == (1, True)
    ear.say("steer/t", "1")
    ear.say("steer/t", "10")
    assert out(ear) == b"10"


def test_a_wrong_definition_changes_nothing(works: Path):
    (works / "wrong.yaml").write_text(RULE.replace("topic: steer/t", "from: nobody.t"))

    done = call("create", "works/wrong", "wrong.yaml", cwd=works)

    assert done.returncode == 1
    assert "nobody" in done.stderr


def test_a_question_is_listed_and_answered(works: Path, ear: Ear):
    assert call("send", "works/person", "cake", "--wait", "0", cwd=works).returncode == 0
    ear.wait_for(lambda topic, _: topic == "em/out/works/person/ask")

    (listed,) = map(json.loads, call("approve", "--json", cwd=works).stdout.splitlines())
    assert {key: listed[key] for key in ("agent", "question", "choices")} == {
        "agent": "works/person",
        "question": "Really cake?",
        "choices": ["yes", "no"],
    }
    refused = call("approve", listed["run"], "perhaps", cwd=works)
    assert (refused.returncode, "expected yes, no" in refused.stderr) == (1, True)
    assert call("approve", "works", "yes", cwd=works).returncode == 0
    assert json.loads(ear.wait_for(lambda topic, _: topic == "em/out/works/person/out")[1])["data"]["answer"] == "yes"
    assert call("approve", cwd=works).stdout == "no question waits\n"


def test_an_edge_comes_and_goes_and_a_run_is_cancelled(works: Path, ear: Ear):
    assert call("connect", "works/report", "ask", "again", cwd=works).returncode == 0
    assert call("send", "works/report", "x", "--wait", "0", cwd=works).returncode == 0
    ear.wait_for(lambda topic, _: topic == "em/out/works/report/ask/ask")
    assert call("approve", "works/report", "maybe", cwd=works).returncode == 0
    asked = json.loads(ear.wait_for(lambda topic, _: topic == "em/out/works/report/again/ask")[1])
    assert asked["data"]["question"] == "And maybe?"

    assert call("cancel", asked["data"]["run"], cwd=works).returncode == 0
    assert call("approve", cwd=works).stdout == "no question waits\n"
    assert call("disconnect", "works/report", "ask", "again", cwd=works).returncode == 0
    gone = call("disconnect", "works/report", "ask", "again", cwd=works)
    assert gone.returncode == 1
