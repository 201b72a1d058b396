"""A matrix with a chat whose speaker is a model, where that model is not installed."""

import pytest

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
