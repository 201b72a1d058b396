"""Commands of a host for a board on a durable edge: none is lost and none is carried out twice, whatever becomes of the broker."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from firmware_bench import Board, Broker, Listener

Start = Callable[..., Board]

HERE = Path(__file__).parent
MATRIX = """
matrix: home
defaults: {delivery: durable}
agents:
  board: {host: shed, inputs: {set: any}}
  burst: {python: "burst:burst", inputs: {first: whole}, sends: [board.set]}
  bursts: {python: "burst:bursts", inputs: {count: whole}, sends: [burst.first]}
"""
PATIENCE_S = 120.0


@pytest.fixture
def house(broker: Broker, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    (tmp_path / "house.yaml").write_text(MATRIX)
    shutil.copy(HERE / "burst.py", tmp_path)
    words = [sys.executable, "-m", "edgematrix", "run", "house.yaml", "--broker", f"mqtt://127.0.0.1:{broker.port}", "--log", "json"]
    with (tmp_path / "house.log").open("wb") as log:
        process = subprocess.Popen(words, cwd=tmp_path, stdout=log, stderr=log)
    yield process
    process.kill()
    process.wait()


def numbers(written: Path) -> list[int]:
    return [int(line) for line in written.read_text().split()] if written.exists() else []


def wait_until(process: Board, written: Path, count: int) -> None:
    until = time.monotonic() + PATIENCE_S
    while len(numbers(written)) < count:
        assert process.process.poll() is None, process.said()
        assert time.monotonic() < until, f"{len(numbers(written))} of {count} commands"
        time.sleep(0.02)


def is_ready(payload: bytes) -> bool:
    return bool(json.loads(payload)["status"] == "ready")


@pytest.mark.usefixtures("house")
def test_commands_while_the_broker_is_killed(broker: Broker, board: Start, tmp_path: Path, interpreter: list[str]) -> None:
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    chance = random.Random(seed)
    count = 2_000 if "dev" in interpreter else 10_000  # CPython runs the same code
    written = tmp_path / "written"
    listener = Listener(broker.port)
    listener.wait_for("em/state/home/burst", is_ready)
    process = board("durable_board.py", broker.port, written, tmp_path / "kept")
    listener.wait_for("em/state/home/board", is_ready)
    listener.publish("em/in/home/bursts/count", str(count // 500))
    listener.close()
    wait_until(process, written, 1)
    for kill in range(8):
        wait_until(process, written, chance.randrange(kill * count // 8, (kill + 1) * count // 8))
        broker.kill()
        broker.start()
    wait_until(process, written, count)
    assert numbers(written) == list(range(count)), "in order, none lost, none twice"


@pytest.mark.usefixtures("house")
def test_a_board_that_loses_its_power_goes_on_where_it_was(broker: Broker, board: Start, tmp_path: Path) -> None:
    written = tmp_path / "written"
    listener = Listener(broker.port)
    listener.wait_for("em/state/home/burst", is_ready)
    listener.publish("em/in/home/bursts/count", "2")
    listener.close()
    for kill in range(4):
        process = board("durable_board.py", broker.port, written, tmp_path / "kept")
        wait_until(process, written, (kill + 1) * 200)  # a quick board is past it already, and dies as it comes up
        process.kill()
    board("durable_board.py", broker.port, written, tmp_path / "kept")
    found: list[int] = []
    until = time.monotonic() + PATIENCE_S
    while not found or found[-1] < 999:
        assert time.monotonic() < until, f"{len(found)} commands"
        time.sleep(0.02)
        found = numbers(written)
    assert sorted(set(found)) == list(range(1_000)), "none is lost"
    assert len(found) - 1_000 <= 4 * 16, "at most those are repeated that were carried out since it kept how far it was"
