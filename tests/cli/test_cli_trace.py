"""`edgematrix trace` beside a running matrix: what happened, what happens, and what is waited for."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from broker_process import BrokerProcess
from cli_process import CALM, SOON_S, WAIT_S, Ear, Running, call, check_ends_with_its_reader, no_traceback
from rich.console import Console
from running_project import running_project

from edgematrix.cli.match_board import MatchBoard
from edgematrix.cli.trace_line import json_line, repeated, text_line

Start = Callable[..., Running]

SLOW = """
matrix: slow
agents:
  rule:
    triggers:
      long: {on: {t: {topic: trace/t, above: 5, for: 1h}, u: {topic: trace/u}}, do: [{publish: {topic: trace/out, payload: 1}}]}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, mosquitto: BrokerProcess) -> Iterator[Path]:
    """A project that runs, and whose sensors have said something."""
    with running_project(tmp_path_factory.mktemp("traced"), mosquitto.url, "attic") as folder:
        ear = Ear(mosquitto.port, "zigbee2mqtt/hall_lamp/set")
        evening(ear)
        ear.wait_for(lambda _, payload: b'"ON"' in payload)
        ear.close()
        yield folder


@pytest.fixture
def ear(mosquitto: BrokerProcess) -> Iterator[Ear]:
    found = Ear(mosquitto.port, "zigbee2mqtt/#")
    yield found
    found.close()


def evening(ear: Ear) -> None:
    """Somebody comes while it is light, and again in the dark."""
    for name, value in (("lux", 41), ("motion", True), ("motion", False), ("lux", 20), ("lux", 21), ("lux", 22), ("motion", True)):
        ear.say(f"zigbee2mqtt/hall_{name}", json.dumps({"illuminance": value} if name == "lux" else {"occupancy": value}))


def told(printed: str) -> list[str]:
    """The lines without the time."""
    return [line[14:].rstrip() for line in printed.splitlines()]


def test_what_happened_of_late_and_what_is_waited_for(home: Path):
    done = call("trace", cwd=home)

    assert done.returncode == 0, done.stderr
    lines = told(done.stdout)
    light = "home/hall/light           "
    refused = lines.index(f"not fired  {light}`come` did not fire: the condition `lux` is not met")
    assert refused < lines.index(f"fired      {light}`come` fired: motion=true lux=22")
    assert f"not fired  {light}`come` did not fire: `lux` stays ON, no edge  (2 times)" in lines
    assert f"waits      {light}come: motion ✓ lux ✓" in lines
    assert f"waits      {light}gone: motion ✗ (true, needs = false)" in lines


def test_a_part_of_the_tree_a_group_and_json(home: Path):
    done = call("trace", "home/hall/light/", "--group", "gone", "--json", "--last", "2", cwd=home)

    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {(row["path"], row["group"]) for row in rows} == {("home/hall/light", "gone")}
    assert [row["kind"] for row in rows] == ["not_fired", "not_fired", "match"]
    assert list(rows[0])[:3] == ["time", "kind", "path"]
    assert rows[1]["reason"] == "for_broken"


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["home/hal"], 1, "no agent home/hal is on this bus\n  → did you mean home/hall?"),
        (["home/hall/light", "--group", "com"], 1, "has no trigger group 'com'\n  → did you mean come?"),
        (["home/hall/lamp", "--group", "come"], 1, "it has no trigger groups"),
        (["home/#"], 2, "segment '#'"),
        (["home", "--last", "0"], 2, "--last"),
        (["home", "--for", "1s"], 2, "--for is for --follow"),
        (["home", "--url", "mqtt://127.0.0.1:1"], 1, "no broker answers"),
        (["home", "--url", "http://127.0.0.1"], 2, "not mqtt or mqtts"),
        (["home", "--root", "other"], 1, "no agent is online"),
    ],
)
def test_what_cannot_be_traced_is_told(home: Path, arguments: list[str], code: int, complaint: str):
    done = call("trace", *arguments, cwd=home)

    assert complaint in done.stderr
    assert (done.returncode, done.stdout) == (code, "")
    no_traceback(done)


def test_without_a_run_it_says_so(tmp_path: Path):
    (tmp_path / ".edgematrix").mkdir()
    stale = {"url": "mqtt://127.0.0.1:1", "matrix": "m", "name": "m", "root": "em", "host": "h", "birth": "0", "started": "", "state": ""}
    (tmp_path / ".edgematrix" / "run.json").write_text(json.dumps({**stale, "pid": 2**22 + 1}))

    done = call("trace", cwd=tmp_path)

    assert done.returncode == 1
    assert "nothing runs in this folder\n  → start `edgematrix run MATRIX` here, or give --url" in done.stderr


def test_an_address_alone_is_enough_for_the_one_matrix_there_is(own_broker: Callable[..., BrokerProcess], tmp_path: Path, start: Start):
    broker = own_broker("mosquitto")
    broker.start()
    (tmp_path / "slow.yaml").write_text(SLOW)
    start("run", "slow.yaml", "--broker", broker.url, "--name", "a", cwd=tmp_path).wait_for("  connected")

    assert "slow/rule                 long: t ✗ u ✗" in call("trace", "--url", broker.url, cwd=tmp_path.parent).stdout

    (tmp_path / "other.yaml").write_text(SLOW.replace("matrix: slow", "matrix: other"))
    start("run", "other.yaml", "--broker", broker.url, "--name", "b", "--state", "elsewhere", cwd=tmp_path).wait_for("  connected")
    done = call("trace", "--url", broker.url, cwd=tmp_path.parent)
    assert done.returncode == 2
    assert "several matrices are on this bus: other, slow\n  → edgematrix trace other" in done.stderr


def test_following_shows_what_happens_until_ctrl_c_and_through_a_restart_of_the_host(
    tmp_path: Path, mosquitto: BrokerProcess, ear: Ear, start: Start
):
    (tmp_path / "slow.yaml").write_text(SLOW)
    host = start("run", "slow.yaml", "--broker", mosquitto.url, "--name", "slow", cwd=tmp_path)
    host.wait_for("  connected")
    tracing = start("trace", "slow", "--follow", "--url", mosquitto.url, cwd=tmp_path)
    tracing.wait_for("long: t ✗ u ✗")

    ear.say("trace/t", "7")
    tracing.wait_for("`long` did not fire: `t` turned ON and must stay so for 1h")
    tracing.wait_for("long: t ✗ (ON, ready in 1h) u ✗")
    ear.say("trace/t", "1")
    tracing.wait_for("`long` did not fire: `t` ON since ")

    host.kill()
    start("run", "slow.yaml", "--broker", mosquitto.url, "--name", "slow", cwd=tmp_path).wait_for("  connected")
    before = tracing.printed

    def again() -> bool:
        ear.say("trace/u", "1")
        return "it waits for `t`" in tracing.printed[len(before) :]

    tracing.wait_until(again, "nothing is told of the new host")
    assert tracing.printed.count("ready in") == 1  # that an hour runs down is no news, line by line
    assert tracing.stop() < SOON_S
    assert tracing.process.returncode == 0


def test_following_ends_by_itself_and_quietly_when_its_check_ends_with_its_reader(home: Path, ear: Ear):
    assert call("trace", "--follow", "--for", "100ms", "--json", cwd=home).returncode == 0

    check_ends_with_its_reader("trace", "--follow", "--json", cwd=home, then=lambda: ear.say("zigbee2mqtt/hall_lux", '{"illuminance": 15}'))


def test_in_a_terminal_the_matches_stay_below(home: Path, ear: Ear):
    leader, follower = pty.openpty()
    env = {**CALM, "TERM": "xterm", "COLUMNS": "120", "LINES": "30"}
    words = [sys.executable, "-m", "edgematrix", "trace", "--follow"]
    with subprocess.Popen(words, cwd=home, env=env, stdin=follower, stdout=follower, stderr=subprocess.PIPE) as process:
        os.close(follower)
        printed = _read_until(leader, "waiting for")
        assert "`come` fired" in printed
        ear.say("zigbee2mqtt/hall_motion", '{"occupancy": false}')
        printed = _read_until(leader, r"\(ON, ready in [2-5]s\)")
        assert "`gone` did not fire" in printed
        left_s = int(re.findall(r"ready in (\d)s", printed)[-1])
        _read_until(leader, rf"\(ON, ready in [1-{left_s - 1}]s\)")  # it runs down before one's eyes
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT_S) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""
    os.close(leader)


def _read_until(leader: int, pattern: str) -> str:
    read = b""
    until = time.monotonic() + WAIT_S
    while not re.search(pattern, read.decode(errors="replace")):
        assert time.monotonic() < until, f"{pattern!r} is not shown: {read.decode(errors='replace')}"
        read += os.read(leader, 65_536)
    return read.decode(errors="replace")


# What is shown, without a process


def match(path: str, text: str, key: str | None = None) -> dict[str, object]:
    return {"kind": "match", "at": "2026-01-01T00:00:00Z", "path": path, "group": "g", "key": key, "text": text}


def test_a_low_terminal_shows_the_matches_that_changed_last():
    board = MatchBoard(Console(file=io.StringIO(), width=60, height=8))
    for number in range(10):
        board.match(match(f"home/a{number}", "motion ✗ lux ✗ " + "x" * 100))
    board.match(match("home/a0", "motion ✓"))

    lines = board.picture().plain.splitlines()

    assert [line.split()[0] for line in lines] == ["waiting", "home/a0", "home/a7", "home/a8", "home/a9", "and"]
    assert lines[-1] == "and 6 more"
    assert lines[1] == "home/a0 g                             motion ✓"
    assert max(map(len, lines)) < 60


def test_a_key_is_named_and_control_characters_are_harmless():
    assert text_line(match("home/a", "t ✓", "bath\x1b[2J")).endswith("g[bath\\x1b[2J]: t ✓")


@pytest.mark.parametrize("strange", [{}, {"kind": 7, "at": 1e400, "text": None, "path": ["a"]}, {"at": "9999-99", "kind": "x" * 99}])
def test_whatever_comes_over_the_bus_is_shown_somehow(strange: dict[str, object]):
    assert isinstance(text_line(strange), str)
    assert json.loads(json_line(strange))["kind"] == strange.get("kind")


def test_what_is_the_same_in_a_row_is_shown_once():
    one, two = {"path": "a", "text": "x", "at": "1"}, {"path": "a", "text": "y", "at": "2"}

    assert list(repeated([])) == []
    assert list(repeated([one, one | {"at": "3"}, two, one])) == [(one | {"at": "3"}, 2), (two, 1), (one, 1)]
