"""Pieces of outputs at the command line: `edgematrix send --follow` and `edgematrix watch --parts`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from broker_process import BrokerProcess
from cli_process import WAIT_S, Running, call, no_traceback

from edgematrix.cli.parts_text import PartsText
from edgematrix.cli.sighting import Sighting
from edgematrix.protocol.event import Trail

Start = Callable[..., Running]

WORK = """
from typing import Any
import edgematrix as em

async def write(text: Any, ctx: em.Context) -> str:
    if text == "fail":
        raise ValueError("out of ink")
    for number, word in enumerate(str(text).split()):
        await ctx.stream(word if not number else " " + word)
    return str(text).upper()
"""
MATRIX = """
matrix: teller
agents:
  report:
    inputs: {request: text}
    outputs: {summary: {from: writer}}
    flow: {edges: [request -> writer]}
    agents: {writer: {python: "teller_work:write"}}
  quiet: {inputs: {in: text}, triggers: {g: {on: {w: {from: self.in}}, do: [{delay: 1h}, {emit: {out: 1}}]}}}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, mosquitto: BrokerProcess) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("teller")
    (folder / "teller.yaml").write_text(MATRIX)
    (folder / "teller_work.py").write_text(WORK)
    running = Running("run", "teller.yaml", "--broker", mosquitto.url, "--name", "loft", cwd=folder)
    running.wait_for("  connected")
    yield folder
    running.kill()


def test_whoever_sends_and_follows_sees_the_pieces_and_then_the_whole(home: Path) -> None:
    done = call("send", "teller/report.request", "once upon a time", "--follow", cwd=home)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        '✓ teller/report.request "once upon a time"',
        "teller/report.summary  once upon a time",
        '  teller/report.summary "ONCE UPON A TIME"',
    ]


def test_whoever_does_not_follow_sees_the_whole_alone(home: Path) -> None:
    done = call("send", "teller/report.request", "once", cwd=home)

    assert done.stdout.splitlines()[1:] == ['  teller/report.summary "ONCE"']


def test_a_run_that_fails_is_told_to_who_follows_it(home: Path) -> None:
    done = call("send", "teller/report.request", "fail", "--follow", cwd=home)

    assert done.returncode == 1
    assert "✗ teller/report: writer: ValueError: out of ink" in done.stdout
    no_traceback(done)


def test_an_answer_that_does_not_come_is_an_error_that_names_the_run(home: Path) -> None:
    done = call("send", "teller/quiet", "x", "--follow", "--wait", "300ms", cwd=home)

    assert done.returncode == 1
    assert "teller/quiet has not answered" in done.stderr
    runid = re.search(r"edgematrix trace (\S+)`", done.stderr)
    assert runid is not None
    assert "now: the end of a delay" in call("trace", runid[1], cwd=home).stdout


def test_pieces_can_be_watched_as_text(home: Path, start: Start) -> None:
    watching = start("watch", "--parts", cwd=home)
    watching.wait_for("Ctrl-C ends it")
    call("send", "teller/report.request", "a b", "--wait", "0", cwd=home)
    call("send", "teller/report.request", "c d", "--wait", "0", cwd=home)
    printed = watching.wait_for("c d\n")

    assert printed.splitlines()[1:] == ["teller/report.summary  a b", "teller/report.summary  c d"]
    watching.stop()


def test_pieces_inside_a_composite_can_be_watched_by_name(home: Path, start: Start) -> None:
    watching = start("watch", "--parts", "teller/report/writer", "--json", "--count", "2", cwd=home)
    watching.wait_for("Ctrl-C ends it")

    def streamed() -> bool:
        call("send", "teller/report.request", "a b", "--wait", "0", cwd=home)  # until the host has heard of the watch
        return "sequence" in watching.printed

    watching.wait_until(streamed, "no piece came")
    watching.process.wait(WAIT_S)
    pieces = [json.loads(line) for line in watching.printed.splitlines() if line.startswith("{")]
    assert [(piece["path"], piece["port"], piece["value"], piece["sequence"]) for piece in pieces] == [
        ("teller/report/writer", "out", "a", 1),
        ("teller/report/writer", "out", " b", 2),
    ]


# Without a process


def piece(value: object, sequence: int, path: str = "m/a", runid: str = "r", kind: str = "part") -> Sighting:
    return Sighting(0, "", kind, path, "out", value, 0, retained=False, trail=Trail("i", runid), sequence=sequence)


def shown(*pieces: Sighting) -> str:
    text = PartsText()
    return re.sub(r"\x1b\[\d*m", "", "".join(map(text.take, pieces)) + text.end())


def test_pieces_make_one_line_and_the_whole_ends_it() -> None:
    assert shown(piece("a", 1), piece("b", 2), piece("AB", 0, kind="out"), piece("c", 1)) == "m/a.out  ab\nm/a.out  c\n"


def test_two_outputs_at_once_take_turns() -> None:
    assert shown(piece("a", 1), piece("x", 1, "m/b"), piece("b", 2), piece("y", 2, "m/b")) == (
        "m/a.out  a\nm/b.out  x\nm/a.out  b\nm/b.out  y\n"
    )


def test_gaps_and_new_beginnings_are_told_and_what_comes_late_is_not_shown() -> None:
    assert shown(piece("a", 1), piece("d", 4), piece("b", 2), piece("e", 5)) == "m/a.out  a[2 pieces missing] de\n"
    assert shown(piece("b", 2)) == "m/a.out  [1 piece missing] b\n"
    assert shown(piece("a", 1), piece("b", 2), piece("a", 1)) == "m/a.out  ab\nm/a.out  [it begins anew] a\n"


def test_pieces_are_harmless_for_a_terminal() -> None:
    assert shown(piece("a\x1b[2J\nb", 1), piece({"n": 1}, 2)) == 'm/a.out  a\\x1b[2J\nb{"n":1} \n'
