"""`edgematrix run` as a process: what it starts, what it says, and that nothing is left of it."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from broker_process import BrokerProcess
from cli_process import CALM, SOON_S, WAIT_S, Ear, Running, call, no_traceback
from free_port import free_port
from process_life import descendants, lives, words_of

Start = Callable[..., Running]
ECHO = "matrix: m\nagents:\n  r: {triggers: {g: {on: {x: {topic: t/in}}, do: [{publish: {topic: t/out, payload: '${x.value}'}}]}}}\n"
_HELD_S = 20.0
"""Whoever has a port for longer is none of the tests."""
BOARD = """\
import sys, time
print("a board at", sys.argv[1:])
try:
    while True:
        time.sleep(1)
except KeyboardInterrupt:
    print("a board says goodbye")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything_soon_and_leaves_nothing(project: Path, start: Start, number: int):
    (project / "board.py").write_text(BOARD)
    (project / "evening.play.yaml").write_text("boards: {home/board: board.py}\n")
    running = start("run", "home.yaml", "--play", "evening.jsonl", cwd=project)
    running.wait_for("published  home/hall/lux")
    below = descendants(running.process.pid)
    kinds = {kind for pid in below for kind in ("mosquitto", "nats", "testing.player", "micropython") if kind in words_of(pid)}

    took_s = running.stop(number)

    assert took_s < SOON_S
    assert running.process.returncode == 0
    assert "testing.player" in kinds
    assert len(kinds) >= 2, "a broker and a player ran, and a board where there is MicroPython"
    assert [words_of(pid) for pid in below if lives(pid)] == []
    assert not (project / ".edgematrix" / "run.json").exists()
    assert "Traceback" not in running.printed


def test_a_board_beside_the_recording_runs_or_is_left_out_with_the_reason(project: Path, start: Start):
    (project / "board.py").write_text(BOARD)
    (project / "evening.play.yaml").write_text("boards: {home/board: board.py}\n")

    running = start("run", "home.yaml", "--play", "evening.jsonl", cwd=project)

    running.wait_until(
        lambda: (
            "board home/board: a board at" in running.printed or "board home/board is left out: there is no MicroPython" in running.printed
        ),
        "nothing is said of the board",
    )


def test_the_run_file_tells_where_it_is_and_is_gone_after_a_kill_has_been_noticed(project: Path, start: Start):
    running = start("run", "home.yaml", "--name", "pi", cwd=project)
    running.wait_for("connected")

    told = json.loads((project / ".edgematrix" / "run.json").read_text())

    assert told["url"] in running.printed
    assert (told["host"], told["root"], told["name"], told["pid"]) == ("pi", "em", "home", running.process.pid)
    assert told["matrix"] == str(project / "home.yaml")

    second = call("run", "home.yaml", cwd=project)
    assert second.returncode == 1
    assert f"runs here already, as process {running.process.pid}" in second.stderr

    running.kill()
    assert "nothing runs in this folder" in call("watch", cwd=project).stderr


def test_the_broker_dies_with_a_host_that_is_killed(project: Path, start: Start):
    running = start("run", "home.yaml", cwd=project)
    running.wait_for("connected")
    below = descendants(running.process.pid)
    assert below

    running.kill()

    until = time.monotonic() + WAIT_S
    while any(map(lives, below)):
        assert time.monotonic() < until, [words_of(pid) for pid in below]
        time.sleep(0.02)


def test_json_lines_are_one_object_for_each_observation(project: Path, start: Start):
    running = start("run", "home.yaml", "--play", "evening.jsonl", "--speed", "max", "--log", "json", cwd=project)
    running.wait_for('"kind":"fired"')
    running.stop()

    lines = [json.loads(line) for line in running.printed.splitlines()]
    assert {"note", "received", "published", "not_fired", "fired", "run_ended"} <= {line["kind"] for line in lines}
    fired = next(line for line in lines if line["kind"] == "fired")
    assert fired["path"] == "home/hall/light"
    assert fired["sources"]["motion"]["value"] in (True, False)
    assert all(line["time"].endswith("Z") for line in lines)


def test_it_ends_by_itself_when_it_is_told_for_how_long(project: Path):
    done = call("run", "home.yaml", "--for", "300ms", cwd=project)

    assert done.returncode == 0
    assert "connected" in done.stdout


@contextmanager
def taken(port: int) -> Iterator[None]:
    """A port that somebody has: as soon as other tests, which begin there too, let go of it."""
    give_up_at = time.monotonic() + _HELD_S
    while True:
        try:
            holder = socket.create_server(("127.0.0.1", port))
        except OSError:
            if time.monotonic() > give_up_at:
                pytest.skip(f"port {port} stays with somebody else")
            time.sleep(0.02)
        else:
            break
    with holder:
        yield


def test_a_port_in_use_is_no_trouble(project: Path, start: Start):
    with taken(1883):
        running = start("run", "home.yaml", cwd=project)
        running.wait_for("connected")

    assert "127.0.0.1:1883 " not in running.printed


def test_a_broker_that_is_down_is_told_once_and_taken_when_it_comes(project: Path, start: Start, own_broker: Callable[..., BrokerProcess]):
    broker = own_broker("mosquitto")
    running = start("run", "home.yaml", "--broker", broker.url, cwd=project)
    running.wait_for("trying again")
    with socket.create_server(("127.0.0.1", broker.port)) as deaf:
        deaf.settimeout(WAIT_S)
        for _ in range(3):
            deaf.accept()[0].close()

    broker.start()
    running.wait_for("  connected")

    assert running.printed.count("disconnected") == 1
    running.stop()
    assert running.process.returncode == 0


def test_while_the_broker_is_down_it_can_be_ended(project: Path, start: Start):
    running = start("run", "home.yaml", "--broker", f"mqtt://127.0.0.1:{free_port()}", cwd=project)
    running.wait_for("trying again")

    assert running.stop() < SOON_S
    assert running.process.returncode == 0


def test_refused_credentials_end_it_with_1(project: Path, own_broker: Callable[..., BrokerProcess]):
    broker = own_broker("mosquitto", anonymous=False)
    broker.start()

    done = call("run", "home.yaml", "--broker", f"mqtt://me:topsecret@127.0.0.1:{broker.port}", cwd=project)

    assert done.returncode == 1
    assert "the broker refuses the client" in done.stderr
    assert "user name, the password" in done.stderr
    assert "topsecret" not in done.stdout + done.stderr
    no_traceback(done)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["none.yaml"], 1, "none.yaml: error: there is no such file"),
        (["."], 1, "is a directory"),
        (["bad.yaml"], 1, "bad.yaml:2:1: error"),
        (["home.yaml", "--broker", "http://x"], 2, "mqtt or mqtts"),
        (["home.yaml", "--broker", "mqtt://"], 2, "names no host"),
        (["home.yaml", "--play", "none.jsonl"], 2, "none.jsonl: error"),
        (["home.yaml", "--play", "bad.jsonl"], 1, "bad.jsonl:2"),
        (["home.yaml", "--play", "evening.jsonl", "--speed", "0"], 2, "--speed"),
        (["home.yaml", "--play", "evening.jsonl", "--speed", "nan"], 2, "--speed"),
        (["home.yaml", "--device", "home/board"], 2, "names no program"),
        (["home.yaml", "--device", "home/+=x.py"], 2, "--device"),
        (["home.yaml", "--device", "home/board=none.py"], 2, "there is no such program"),
        (["home.yaml", "--name", "my host"], 2, "my host"),
        (["home.yaml", "--state", "/proc/none"], 1, "/proc/none"),
        (["home.yaml", "--for", "1 fortnight"], 2, "fortnight"),
        (["home.yaml", "--log", "xml"], 2, "xml"),
    ],
)
def test_what_is_wrong_is_told_without_a_traceback(project: Path, arguments: list[str], code: int, told: str):
    (project / "bad.yaml").write_text("matrix: home\n\tagents: {}\n")
    (project / "bad.jsonl").write_text('{"at": 0, "topic": "a", "payload": 1}\n{"at": "soon"}\n')

    done = call("run", *arguments, cwd=project)

    assert done.returncode == code, done.stderr
    assert told in done.stderr
    no_traceback(done)


@pytest.mark.parametrize(
    ("listed", "told"),
    [
        ("boards: {home/board: none.py}\n", ":1:22: error: there is no program"),
        ("boards: {home/+: board.py}\n", ":1:10: error:"),
        ("start: tomorrow\n", ":1:8: error:"),
        ("speed: -1\n", ":1:8: error:"),
        ("sped: 1\n", ":1:1: error: the key 'sped' is not known here"),
        ("- a\n", ":1:1: error: expected a mapping"),
    ],
)
def test_what_is_wrong_beside_a_recording_is_told_with_its_place(project: Path, listed: str, told: str):
    (project / "board.py").write_text(BOARD)
    (project / "evening.play.yaml").write_text(listed)

    done = call("run", "home.yaml", "--play", "evening.jsonl", cwd=project)

    assert done.returncode == 1
    assert f"evening.play.yaml{told}" in done.stderr
    no_traceback(done)


def test_a_reader_that_goes_ends_the_run(project: Path):
    process = subprocess.Popen(
        [sys.executable, "-m", "edgematrix", "run", "home.yaml"],
        cwd=project,
        env=CALM,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    with socket.create_connection(("127.0.0.1", _port_of(project)), 5):
        pass  # the broker is there, so the next line is soon
    subprocess.run(
        [sys.executable, "-m", "edgematrix", "send", "home/helper.say", "turn on the lamp"],
        cwd=project,
        env=CALM,
        check=False,
        capture_output=True,
    )

    said = process.stderr.read()

    assert process.wait(WAIT_S) == 1
    assert "standard output was closed" in said
    assert "Traceback" not in said
    process.stderr.close()


def test_a_reader_that_stops_reading_does_not_stop_the_host(tmp_path: Path, mosquitto: BrokerProcess):
    (tmp_path / "m.yaml").write_text(ECHO)
    lines = [json.dumps({"at": 0, "topic": "t/in", "payload": payload}) for payload in [*["x" * 500] * 600, "the last"]]
    (tmp_path / "flood.jsonl").write_text("\n".join(lines) + "\n")
    ear = Ear(mosquitto.port, "t/out")
    words = [sys.executable, "-m", "edgematrix", "run", "m.yaml", "--log", "json", "--broker", mosquitto.url]
    process = subprocess.Popen([*words, "--play", "flood.jsonl", "--speed", "max"], cwd=tmp_path, env=CALM, stdout=subprocess.PIPE)
    try:
        ear.wait_for(lambda _, payload: payload == b"the last")  # nobody has read the host's lines, which fill more than a pipe
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT_S) == 0, "and it can be ended"
    finally:
        process.kill()
        process.communicate()
        ear.close()


def test_the_module_can_be_run(tmp_path: Path):
    done = subprocess.run([sys.executable, "-m", "edgematrix", "--version"], capture_output=True, text=True, check=True, cwd=tmp_path)

    assert done.stdout.startswith("edgematrix ")


def _port_of(project: Path) -> int:
    _wait_for(project / ".edgematrix" / "run.json")
    return int(json.loads((project / ".edgematrix" / "run.json").read_text())["url"].rpartition(":")[2])


def _wait_for(file: Path) -> None:
    until = time.monotonic() + WAIT_S
    while not file.exists():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_in_a_terminal_it_is_a_live_view_and_the_terminal_is_given_back(project: Path):
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    environment = {**CALM, "TERM": "xterm-256color"}
    process = subprocess.Popen(
        [sys.executable, "-m", "edgematrix", "run", "home.yaml"], cwd=project, env=environment, stdin=theirs, stdout=theirs
    )
    os.close(theirs)
    seen = b""
    try:
        until = time.monotonic() + WAIT_S
        while b"helper" not in seen or b"ready" not in seen:
            assert time.monotonic() < until, seen
            seen += os.read(ours, 65_536)
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT_S) == 0
        seen += os.read(ours, 65_536)
    finally:
        process.kill()
        process.wait()
        os.close(ours)

    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.decode())
    assert "● mqtt://127.0.0.1:" in text
    assert "└─ helper" in text
    assert seen.rindex(b"\x1b[?25h") > seen.rindex(b"\x1b[?25l"), "the cursor is shown again"
