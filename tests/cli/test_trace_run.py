"""`edgematrix trace RUN`: one run as a tree with a timeline, put together from all hosts that worked on it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from broker_process import BrokerProcess
from cli_process import Ear, Running, call, no_traceback

from edgematrix.cli.run_picture import run_lines, runs_line, span
from edgematrix.cli.run_tree import RunTree

MATRIX = """
matrix: traced
agents:
  report:
    inputs: {request: text}
    outputs: {summary: {from: summarise}}
    flow:
      edges:
        - request -> weigh
        - {from: request, to: check, when: "size(value) > 100"}
        - weigh, check -> summarise
    agents:
      weigh:
        switch: {cases: [{when: "value == 'hang'", to: slow}], default: quick}
        agents:
          quick: {inputs: {in: text}, triggers: {go: {on: {w: {from: self.in}}, mode: parallel, do: [{emit: {out: "weighed ${w.value}"}}]}}}
          slow: {inputs: {in: text}, triggers: {go: {on: {w: {from: self.in}}, mode: parallel, do: [{delay: 1h}, {emit: {out: late}}]}}}
      check: {inputs: {in: text}, triggers: {go: {on: {w: {from: self.in}}, mode: parallel, do: [{emit: {out: 1}}]}}}
      summarise:
        inputs: {in: {type: object}}
        triggers: {go: {on: {w: {from: self.in}}, mode: parallel, do: [{emit: {out: "all of ${w.value}"}}]}}
  listener: {triggers: {all: {on: {s: {from: report.summary}}, do: [{publish: {topic: traced/heard, payload: "${s.value}"}}]}}}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, mosquitto: BrokerProcess) -> Iterator[Path]:
    """A flow that runs, with one run that is done and one that waits."""
    folder = tmp_path_factory.mktemp("traced")
    (folder / "traced.yaml").write_text(MATRIX)
    running = Running("run", "traced.yaml", "--broker", mosquitto.url, "--name", "cellar", cwd=folder)
    running.wait_for("  connected")
    ear = Ear(mosquitto.port, "traced/heard")
    assert call("send", "traced/report.request", "parcel", "--wait", "0", cwd=folder).returncode == 0
    ear.wait_for(lambda _, payload: b"parcel" in payload)
    assert call("send", "traced/report.request", "hang", "--wait", "0", cwd=folder).returncode == 0
    ear.close()
    yield folder
    running.kill()


def listed(home: Path) -> list[dict[str, Any]]:
    done = call("trace", "--runs", "traced/report", "--json", cwd=home)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_newest_runs_are_listed(home: Path) -> None:
    waits, done = listed(home)

    assert (done["path"], done["state"], done["steps"]) == ("traced/report", "done", 3)
    assert (waits["state"], waits["took_us"]) == ("under way", None)
    lines = call("trace", "--runs", cwd=home).stdout.splitlines()
    assert [line.split()[-1] for line in lines] == [waits["run"], done["run"]]
    assert "✓ done" in lines[1]
    assert "3 steps" in lines[1]


def test_a_run_is_shown_with_its_steps_and_those_of_its_members(home: Path) -> None:
    runid = listed(home)[1]["run"]

    shown = call("trace", runid, cwd=home)

    assert shown.returncode == 0, shown.stderr
    lines = shown.stdout.splitlines()
    assert lines[0].startswith("traced/report  ✓ done in ")
    assert lines[0].endswith(f"run {runid}")
    assert lines[1] == '  request="parcel"'
    steps = [line.split()[1:3] for line in lines if line.startswith("✓")]
    assert steps == [["1", "weigh"], ["1", "quick"], ["2", "summarise"]]
    assert '"parcel" → "weighed parcel"' in lines[2]
    assert any("is not taken" in line for line in lines)  # the branch that was skipped says why
    assert any("goes on without check" in line for line in lines)
    assert 'summary="all of' in shown.stdout
    assert all(ord(sign) != 0x1B for sign in shown.stdout)


def test_a_run_under_way_tells_what_it_waits_for(home: Path) -> None:
    shown = call("trace", listed(home)[0]["run"], cwd=home).stdout

    assert "… under way for " in shown
    assert "now: `slow`" in shown
    assert "now: the end of a delay" in shown


def test_the_tree_for_programs_has_what_was_called_on_each_step(home: Path) -> None:
    runid = listed(home)[1]["run"]

    told = json.loads(call("trace", runid, "--json", cwd=home).stdout)

    (flow,) = [work for work in told["works"] if work["path"] == "traced/report"]
    assert told["run"] == runid
    weigh = flow["steps"][0]
    assert weigh["works"][0]["path"] == "traced/report/weigh"
    assert weigh["works"][0]["steps"][0]["works"][0]["path"] == "traced/report/weigh/quick"


def test_a_run_that_is_not_kept_is_an_error_that_says_how_to_go_on(home: Path) -> None:
    done = call("trace", "00000000-0000", cwd=home)

    assert done.returncode == 1
    assert "no run 00000000-0000 is kept here" in done.stderr
    assert "--runs" in done.stderr
    no_traceback(done)


@pytest.mark.parametrize("words", [("00000000", "--follow"), ("--runs", "--group", "g"), ("00000000", "--runs")])
def test_what_makes_no_sense_together_is_wrong_usage(home: Path, words: tuple[str, ...]) -> None:
    done = call("trace", *words, cwd=home)

    assert done.returncode == 2
    no_traceback(done)


# Without a process


def work(
    run: str, path: str, *steps: dict[str, object], began_ms: int = 0, took_us: int | None = 1_000, **more: object
) -> dict[str, object]:
    began = f"2026-01-01T00:00:00.{began_ms:03}Z"
    told = {"run": run, "path": path, "group": "work", "number": 1, "state": "done", "began": began, "took_us": took_us}
    return {**told, "inputs": {}, "outputs": {}, "notes": [], "steps": list(steps), **more}


def step(number: int, member: str, called: str, began_ms: int = 0, took_us: int | None = 1_000, **more: object) -> dict[str, object]:
    began = f"2026-01-01T00:00:00.{began_ms:03}Z"
    told = {"step": number, "member": member, "called": called, "state": "done", "began": began, "took_us": took_us}
    return {**told, "inputs": {"in": 1}, "outputs": {"out": 2}, **more}


def test_what_two_hosts_tell_is_joined_by_the_ids_of_calls() -> None:
    tree = RunTree()
    tree.take({"id": "a", "works": [work("a", "m/f", step(1, "m/f/here", "b"), step(2, "m/f/there", "c"))]})
    assert tree.unknown() == ["b", "c"]
    tree.take({"id": None, "works": [work("c", "m/f/there", step(1, "m/f/there/x", "d"))]})
    tree.take({"id": None, "works": [work("d", "m/f/there/x"), work("c", "m/f/there/watcher")]})

    (flow,) = tree.works

    assert tree.runid == "a"
    assert tree.unknown() == ["b"]
    assert flow.steps[0].works == []
    assert [found.path for found in flow.steps[1].works] == ["m/f/there", "m/f/there/watcher"]
    assert flow.steps[1].works[0].steps[0].works[0].path == "m/f/there/x"


def test_a_work_that_comes_in_pieces_is_put_together() -> None:
    tree = RunTree()
    tree.take({"id": "a", "works": [work("a", "m/f", step(1, "m/f/x", "b"))]})
    tree.take({"id": "a", "works": [work("a", "m/f", step(1, "m/f/x", "b"), step(2, "m/f/y", "c"))]})

    assert [one.step for one in tree.works[0].steps] == [1, 2]


@pytest.mark.parametrize("strange", [None, 7, {}, {"works": 1}, {"id": 1, "works": [{"run": 1}, None, {"run": "a", "path": []}]}])
def test_whatever_comes_over_the_bus_makes_no_tree(strange: object) -> None:
    tree = RunTree()
    tree.take(strange)

    assert tree.works == []


def test_runs_that_claim_to_call_one_another_are_no_endless_tree() -> None:
    tree = RunTree()
    tree.take({"id": "a", "works": [work("a", "m/f", step(1, "m/f", "a"), step(2, "m/g", "b")), work("b", "m/g", step(1, "m/f", "a"))]})

    assert len(list(run_lines("a", tree.works, 0, 120))) < 10


def picture(*works: dict[str, object], now_ms: int = 100) -> list[str]:
    tree = RunTree()
    tree.take({"id": "a", "works": list(works)})
    return list(run_lines("a", tree.works, 1_767_225_600_000_000 + now_ms * 1_000, 120))


def test_bars_are_drawn_to_scale() -> None:
    lines = picture(
        work("a", "m/f", step(1, "m/f/x", "", 0, 50_000), step(2, "m/f/y", "", 50, 50_000), step(3, "m/f/z", "", 100, 0), took_us=100_000)
    )

    bars = [line.split("\x1b[0m")[1].partition("\x1b[32m")[2] or line for line in lines[1:]]
    assert [(bar.count("█"), bar.count("·")) for bar in bars] == [(12, 12), (12, 12), (1, 23)]
    assert bars[0].startswith("█")
    assert bars[1].endswith("█")


def test_errors_are_red_and_what_is_under_way_reaches_to_now() -> None:
    failed = step(1, "m/f/x", "", 0, 10_000, state="failed", reason="no\x1b[2Jsuch thing", outputs={})
    lines = picture(work("a", "m/f", failed, step(2, "m/f/y", "", 50, None, state="under way"), took_us=None, state="under way"))

    assert "\x1b[31m✗" in lines[1]
    assert "no\\x1b[2Jsuch thing" in lines[2]
    assert lines[3].count("█") == 12
    assert "(under way)" in lines[3]


@pytest.mark.parametrize(
    ("took_us", "text"),
    [(0, "0 µs"), (999, "999 µs"), (12_345, "12.3 ms"), (1_234_567, "1.23 s"), (123_000_000, "2m 03s"), (7_380_000_000, "2h 03m")],
)
def test_durations_have_three_digits(took_us: int, text: str) -> None:
    assert span(took_us) == text


@pytest.mark.parametrize("strange", [{}, {"run": None, "state": [], "began": 7, "took_us": "x", "steps": {}}])
def test_a_strange_run_has_a_line_too(strange: dict[str, object]) -> None:
    assert isinstance(runs_line(strange), str)


# Two hosts

HERE = """
matrix: spread
agents:
  report:
    flow: {edges: [in -> near, near -> far]}
    agents:
      near: {inputs: {in: any}, triggers: {g: {on: {w: {from: self.in}}, mode: parallel, do: [{emit: {out: "${w.value}!"}}]}}}
      far: {host: shed, inputs: {in: any}, outputs: {out: any}}
"""
THERE = """
matrix: spread
agents:
  report:
    agents:
      far:
        switch: {cases: [{when: "true", to: worker}]}
        agents:
          worker: {inputs: {in: any}, triggers: {g: {on: {w: {from: self.in}}, mode: parallel, do: [{emit: {out: "${w.value}?"}}]}}}
"""


def test_what_another_host_did_hangs_on_the_step_that_called_it(tmp_path: Path, mosquitto: BrokerProcess) -> None:
    hosts = []
    for name, text in (("house", HERE), ("shed", THERE)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "spread.yaml").write_text(text)
        hosts.append(Running("run", "spread.yaml", "--broker", mosquitto.url, "--name", name, cwd=tmp_path / name))
    ear = Ear(mosquitto.port, "em/out/spread/report/out")
    try:
        for host in hosts:
            host.wait_for("  connected")
        call("send", "spread/report", "x", "--wait", "0", cwd=tmp_path / "house")
        ear.wait_for(lambda _, payload: b"x!?" in payload)
        done = call("trace", "--runs", "spread/report", "--json", cwd=tmp_path / "house")
        runid = next(told["run"] for told in map(json.loads, done.stdout.splitlines()) if told["path"] == "spread/report")

        lines = call("trace", runid, cwd=tmp_path / "house").stdout.splitlines()
    finally:
        ear.close()
        for host in hosts:
            host.kill()

    assert [line.split()[1:3] for line in lines if line.startswith("✓")] == [["1", "near"], ["2", "far"], ["1", "worker"]]
