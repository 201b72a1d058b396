"""A link that breaks without a word: the board notices, everybody else does, and both are back when it is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from firmware_bench import Board, Broker, Listener
from free_port import free_port

Start = Callable[..., Board]

BLACKHOLE = Path(__file__).parents[1] / "blackhole.py"
STATE = "em/state/home/board"
SET = "em/in/home/board/set"


class Wire:
    """What stands between a board and its broker."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        words = [sys.executable, str(BLACKHOLE), str(self.port), str(target)]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, text=True)

    def set(self, mode: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{mode}\n")
        self._process.stdin.flush()

    def close(self) -> None:
        self._process.kill()
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


@pytest.fixture
def wire(broker: Broker) -> Iterator[Wire]:
    found = Wire(broker.port)
    yield found
    found.close()


def has(status: str) -> Callable[[bytes], bool]:
    return lambda payload: bool(json.loads(payload)["status"] == status)


def test_a_board_whose_link_swallows_everything_is_offline_and_comes_back(wire: Wire, listener: Listener, board: Start) -> None:
    process = board("board.py", wire.port, 500)
    listener.wait_for(STATE, has("ready"))
    wire.set("blackhole")
    process.wait_for_line("not connected: ")
    listener.wait_for(STATE, has("offline"))
    listener.publish(SET, json.dumps({"specversion": "1.0", "id": "waits", "source": "/home/rule", "type": "em.in.set", "data": 7}))
    wire.set("reset")
    wire.set("forward")
    listener.wait_for("em/out/home/board/echo", lambda payload: payload == b"7")
    assert json.loads(listener.wait_for("em/ack/home/board")) == {"id": "waits"}
    assert process.interrupt() == 0
