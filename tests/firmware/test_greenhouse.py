"""The example board: the same air on every interpreter, and a fan that does as it is told."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from firmware_bench import WAIT_S, Board, Broker, Listener

from firmware_bridge import micropython

Start = Callable[..., Board]

HOME = Path(__file__).parents[2] / "examples" / "home"
GREENHOUSE = HOME / "devices" / "greenhouse.py"
PATH = "home/greenhouse/board"

MINUTES = f"""
import sys
sys.path.append({str(GREENHOUSE.parent)!r})
from greenhouse import Greenhouse
house = Greenhouse(7)
for minute in range(1440):
    house.fan = "on" if 700 < minute < 720 else "off"
    house.pass_minute()
    print("%.9f" % house.temperature)
"""


def run(words: list[str], program: Path) -> list[str]:
    done = subprocess.run([*words, str(program)], check=True, env=micropython.environment(), capture_output=True, text=True, timeout=60)
    return done.stdout.split()


def test_a_day_is_the_same_on_every_interpreter(interpreter: list[str], tmp_path: Path) -> None:
    program = tmp_path / "minutes.py"
    program.write_text(MINUTES)
    found = run(interpreter, program)
    assert found == run([sys.executable], program)
    celsius = [float(line) for line in found]
    assert max(celsius) > 27, "at noon it is too hot"
    assert celsius[719] < celsius[700] - 5, "the fan cools"


def test_it_obeys_and_refuses(broker: Broker, listener: Listener, board: Start) -> None:
    process = board(GREENHOUSE, f"127.0.0.1:{broker.port}", PATH, 20)
    assert listener.wait_for(f"em/out/{PATH}/fan") == b"off"
    listener.publish(f"em/in/{PATH}/set", "on")
    assert listener.wait_for(f"em/out/{PATH}/fan") == b"on"
    listener.publish(f"em/in/{PATH}/set", '{"specversion": "1.0", "id": "7", "source": "/home", "type": "em.in.set", "data": "full"}')
    assert b"the fan knows on and off" in listener.wait_for(f"em/ack/{PATH}")
    assert float(listener.wait_for(f"em/out/{PATH}/temperature")) < 30
    assert process.interrupt() == 0


@pytest.mark.parametrize("arguments", [["127.0.0.1:port"], ["127.0.0.1", "Home"], ["127.0.0.1", "home", "soon"], ["a", "b", "1", "1", "1"]])
def test_wrong_arguments_are_said(board: Start, arguments: list[str]) -> None:
    process = board(GREENHOUSE, *arguments)
    assert process.process.wait(WAIT_S) == 2
    assert process.said().startswith("greenhouse.py: ")
    assert "Traceback" not in process.said()


@pytest.fixture
def house(broker: Broker, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    words = [sys.executable, "-m", "edgematrix", "run", str(HOME / "home.yaml"), "--broker", f"mqtt://127.0.0.1:{broker.port}"]
    with (tmp_path / "house.log").open("wb") as log:
        process = subprocess.Popen([*words, "--state", str(tmp_path / "state")], cwd=tmp_path, stdout=log, stderr=subprocess.STDOUT)
    yield process
    process.terminate()
    process.wait(WAIT_S)


def test_the_house_keeps_it_cool(house: subprocess.Popen[bytes], broker: Broker, listener: Listener, board: Start) -> None:
    """A closed loop: the board's readings reach the parent in the house, whose commands reach the board."""
    listener.wait_for("em/state/home/greenhouse")
    board(GREENHOUSE, f"127.0.0.1:{broker.port}", PATH, 5)
    listener.wait_for(f"em/out/{PATH}/fan", lambda payload: payload == b"on")
    hottest = 0.0

    def note(payload: bytes) -> bool:
        nonlocal hottest
        hottest = max(hottest, float(payload))
        return hottest > 27 and float(payload) < 24

    listener.wait_for(f"em/out/{PATH}/temperature", note)
    listener.wait_for(f"em/out/{PATH}/fan", lambda payload: payload == b"off")
    assert house.poll() is None
