"""`edgematrix graph --run`: the way that a run took, marked in the drawing of its matrix."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from broker_process import BrokerProcess
from cli_process import Ear, Running, call, no_traceback

from edgematrix.cli.flowchart import flowchart
from edgematrix.cli.run_tree import Step, Work
from edgematrix.cli.taken import Hop, Taken
from edgematrix.config.opening import open_matrix

MATRIX = """
matrix: drawn
agents:
  report:
    inputs: {request: text}
    outputs: {summary: {from: last}}
    flow:
      edges:
        - request -> first
        - {from: first, to: never, when: "value == ''"}
        - first, never -> last
    agents:
      first:
        switch: {cases: [{when: "true", to: inner}]}
        agents:
          inner: {inputs: {in: text}, triggers: {g: {on: {w: {from: self.in}}, mode: parallel, do: [{emit: {out: "${w.value}!"}}]}}}
      never: {inputs: {in: text}, triggers: {g: {on: {w: {from: self.in}}, mode: parallel, do: [{emit: {out: 1}}]}}}
      last: {inputs: {in: {type: object}}, triggers: {g: {on: {w: {from: self.in}}, mode: parallel, do: [{emit: {out: "${w.value}"}}]}}}
  ear: {triggers: {g: {on: {s: {from: report.summary}}, do: [{publish: {topic: drawn/heard, payload: "${s.value}"}}]}}}
"""


@pytest.fixture
def matrix(tmp_path: Path) -> Path:
    file = tmp_path / "drawn.yaml"
    file.write_text(MATRIX)
    return file


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, mosquitto: BrokerProcess) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("drawn")
    (folder / "drawn.yaml").write_text(MATRIX)
    running = Running("run", "drawn.yaml", "--broker", mosquitto.url, "--name", "attic", cwd=folder)
    running.wait_for("  connected")
    ear = Ear(mosquitto.port, "drawn/heard")
    assert call("send", "drawn/report.request", "x", "--wait", "0", cwd=folder).returncode == 0
    ear.wait_for(lambda *_: True)
    ear.close()
    yield folder
    running.kill()


def work(path: str, *steps: Step, state: str = "done", outputs: dict[str, object] | None = None) -> Work:
    return Work("a", path, state=state, steps=list(steps), outputs=outputs or {})


def marked(text: str) -> set[str]:
    """The edges that are bold."""
    links = re.findall(r"^  \w+ (?:-->|-\.->|<-->).*$", text, re.MULTILINE)
    (places,) = re.findall(r"^  linkStyle ([\d,]+) stroke", text, re.MULTILINE)
    return {links[int(place)].strip() for place in places.split(",")}


def classes(text: str) -> dict[str, set[str]]:
    return {name: set(nodes.split(",")) for nodes, name in re.findall(r"^  class (\S+) (run_\w+)$", text, re.MULTILINE)}


def test_the_running_host_is_asked_for_the_way(home: Path) -> None:
    listed = call("trace", "--runs", "drawn/report", cwd=home).stdout
    runid = listed.split()[-1]

    done = call("graph", "--run", runid, cwd=home)

    assert done.returncode == 0, done.stderr
    assert marked(done.stdout) == {
        'port_drawn_report_request -->|"1"| agent_drawn_report_first',
        'agent_drawn_report_first -->|"1: true"| agent_drawn_report_first_inner',
        'agent_drawn_report_first -->|"2"| agent_drawn_report_last',
        'agent_drawn_report_last -->|"2: out"| port_drawn_report_summary',
    }
    assert "agent_drawn_report_never" not in classes(done.stdout)["run_done"]
    assert call("graph", "drawn.yaml", "--run", runid[:18], cwd=home).stdout == done.stdout


def test_a_run_that_is_not_known_is_an_error(home: Path) -> None:
    done = call("graph", "--run", "00000000", cwd=home)

    assert done.returncode == 1
    assert "no run 00000000 is kept here" in done.stderr
    no_traceback(done)


def test_without_a_matrix_and_without_a_run_there_is_nothing_to_draw(tmp_path: Path) -> None:
    done = call("graph", cwd=tmp_path)

    assert done.returncode == 2
    no_traceback(done)


def test_failures_and_what_is_under_way_are_coloured(matrix: Path) -> None:
    flow = work(
        "drawn/report",
        Step(1, "drawn/report/first", state="failed"),
        Step(2, "drawn/report/never", after=[1], state="under way"),
        Step(3, "drawn/report/last", after=[1], state="cancelled"),
        state="failed",
    )

    text = flowchart(open_matrix(matrix).spec, Taken.of([flow]))

    found = classes(text)
    assert "agent_drawn_report_first" in found["run_failed"]
    assert found["run_under_way"] == {"agent_drawn_report_never"}
    assert found["run_cancelled"] == {"agent_drawn_report_last"}
    assert '-->|"2: value #61;#61; #39;#39;"| agent_drawn_report_never' in text
    for name in found:
        assert re.search(rf"^  classDef {name} \S+$", text, re.MULTILINE)


def test_a_loop_has_the_numbers_of_all_its_steps(matrix: Path) -> None:
    steps = [Step(1, "drawn/report/first"), Step(2, "drawn/report/last", after=[1]), Step(3, "drawn/report/last", after=[1])]

    text = flowchart(open_matrix(matrix).spec, Taken.of([work("drawn/report", *steps)]))

    assert 'agent_drawn_report_first -->|"2#44; 3"| agent_drawn_report_last' in text


def test_a_run_of_what_the_matrix_has_not_marks_nothing(matrix: Path) -> None:
    spec = open_matrix(matrix).spec

    text = flowchart(spec, Taken.of([work("drawn/gone", Step(1, "drawn/gone/x", state="done"))]))

    assert text == flowchart(spec)


def test_the_way_from_the_request_into_a_join_is_marked() -> None:
    steps = [Step(1, "drawn/report/first"), Step(2, "drawn/report/last", after=[0, 1])]
    hops = Taken.of([work("drawn/report", *steps)]).hops
    assert Hop("drawn/report", "drawn/report/last", 2) in hops
    assert Hop("drawn/report/first", "drawn/report/last", 2) in hops
