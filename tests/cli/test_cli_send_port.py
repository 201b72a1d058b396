"""`edgematrix send` to an agent whose port is not named."""

from __future__ import annotations

from pathlib import Path

import pytest
from broker_process import BrokerProcess
from fake_host import HostOf, Steer

from edgematrix.cli.run_file import RunFile

MATRIX = """
matrix: home
agents:
  worker: {python: "work:run"}
  lamp: {device: {writes: {set: {topic: a/lamp/set}}}}
  report: {flow: {edges: [in -> a]}, agents: {a: {python: "work:run"}}}
  letter: {inputs: {request: text}, flow: {edges: [request -> a]}, agents: {a: {python: "work:run"}}}
  person: {human: {ask: "Really?", choices: [yes_please, no_thanks]}}
  two: {device: {writes: {set: {topic: a/two/set}, dim: {topic: a/two/dim}}}}
  deaf: {device: {reads: {lux: {topic: a/deaf}}}}
"""
AGENTS = tuple(f"home/{name}" for name in ("worker", "lamp", "report", "report/a", "letter", "person", "two", "deaf"))


@pytest.fixture
def run_here(tmp_path: Path, mosquitto: BrokerProcess, root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of that matrix, as far as the run file tells."""
    (tmp_path / "home.yaml").write_text(MATRIX)
    run = RunFile(
        url=mosquitto.url, matrix=str(tmp_path / "home.yaml"), name="home", root=root, host="pi", pid=1, birth="", started="", state=""
    )
    monkeypatch.setattr("edgematrix.cli.target.find_run", lambda: run)


@pytest.mark.usefixtures("run_here")
@pytest.mark.parametrize(
    ("to", "port"),
    [
        ("worker", "in"),
        ("worker.in", "in"),
        ("lamp", "set"),
        ("report", "in"),
        ("report.in", "in"),
        ("report/a", "in"),
        ("letter", "request"),
        ("letter.request", "request"),
        ("person", "in"),
        ("two.dim", "dim"),
    ],
)
def test_the_input_that_is_meant(host_of: HostOf, steer: Steer, to: str, port: str):
    host_of(AGENTS)

    done = steer("send", f"home/{to}", "1", "--wait", "0", url="")

    assert (done.code, done.out) == (0, f"✓ home/{to.partition('.')[0]}.{port} 1\n"), done.err


@pytest.mark.usefixtures("run_here")
@pytest.mark.parametrize(
    ("to", "code", "complaint"),
    [
        ("two", 2, "'home/two' names no port\n  → its inputs are dim, set"),
        ("deaf", 1, "home/deaf has no input 'in'\n  → it has no inputs"),
        ("worker.inn", 1, "did you mean 'in'?"),
        ("letter.in", 1, "its inputs are request"),
    ],
)
def test_an_input_that_is_not_there(host_of: HostOf, steer: Steer, to: str, code: int, complaint: str):
    host_of(AGENTS)

    done = steer("send", f"home/{to}", "1", "--wait", "0", url="")

    assert (done.code, done.out) == (code, "")
    assert complaint in done.err


@pytest.mark.usefixtures("run_here")
def test_an_agent_that_was_changed_since_is_not_judged_by_the_file(host_of: HostOf, steer: Steer):
    host = host_of(AGENTS)
    host.tell("home/lamp", revision=1)

    assert steer("send", "home/lamp.dim", "1", "--wait", "0", url="").out == "✓ home/lamp.dim 1\n"


@pytest.mark.usefixtures("run_here")
def test_the_input_of_an_agent_that_stands_in_a_changed_matrix_is_that_of_the_file(host_of: HostOf, steer: Steer):
    host_of(AGENTS).tell("home/letter", revision=1)

    assert steer("send", "home/letter", "1", "--wait", "0", url="").out == "✓ home/letter.request 1\n"


@pytest.mark.usefixtures("run_here")
def test_the_input_of_an_agent_that_was_changed_is_that_of_its_new_definition(host_of: HostOf, steer: Steer):
    host = host_of(AGENTS)
    host.tell("home/letter", revision=1)
    host.define("home/letter", {"inputs": {"wish": {"type": "text"}}, "flow": {"edges": ["wish -> a"]}})

    assert steer("send", "home/letter", "1", "--wait", "0", url="").out == "✓ home/letter.wish 1\n"
    assert "its inputs are wish" in steer("send", "home/letter.request", "1", "--wait", "0", url="").err


def test_without_the_file_it_is_the_usual_input(host_of: HostOf, steer: Steer):
    host_of(AGENTS)

    assert steer("send", "home/lamp", "1", "--wait", "0").out == "✓ home/lamp.in 1\n"
