"""A micro:bit with its own MicroPython, in an emulator, on a socket in place of its line."""

from __future__ import annotations

import ast
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from firmware_bench import WAIT_S, Broker, Listener
from free_port import free_port
from serial_line import BridgeProcess, event, is_ready

FIRMWARE = Path("/usr/share/firmware-microbit-micropython/firmware.hex")
PROGRAM = Path(__file__).parent / "serial_microbit.py"
PATH = "home/shed/microbit"
_PIECE = 40
"""Bytes that it takes at once without losing any."""


class Prompt:
    """The board's own command line, by which programs come in (raw REPL)."""

    def __init__(self, port: int) -> None:
        until_s = time.monotonic() + WAIT_S
        while True:
            try:
                self._line = socket.create_connection(("127.0.0.1", port), WAIT_S)
            except OSError:
                assert time.monotonic() < until_s
                time.sleep(0.05)
            else:
                break
        self._heard = b""
        self._ask(b"\r\x03\x03", b">>> ")
        self._ask(b"\x01", b"exit\r\n>")

    def run(self, text: str) -> None:
        said = self._ask(text.encode() + b"\x04", b"\x04>")
        assert said.strip() == b"OK\x04", (text, said)

    def leave_with(self, text: str) -> None:
        """Start what does not end, and hang up."""
        self._say(text.encode() + b"\x04")
        self._until(b"OK")
        self._line.close()

    def _ask(self, data: bytes, end: bytes) -> bytes:
        self._say(data)
        return self._until(end)

    def _say(self, data: bytes) -> None:
        for at in range(0, len(data), _PIECE):
            self._line.sendall(data[at : at + _PIECE])
            time.sleep(0.005)  # its UART has no flow control

    def _until(self, end: bytes) -> bytes:
        while end not in self._heard:
            data = self._line.recv(4_096)
            assert data, self._heard
            self._heard += data
        said, _, self._heard = self._heard.partition(end)
        return said


@pytest.fixture
def microbit() -> Iterator[int]:
    """One that runs the program; the port of its line."""
    if shutil.which("qemu-system-arm") is None or not FIRMWARE.exists():
        pytest.skip("no micro:bit here: apt-get install qemu-system-arm firmware-microbit-micropython")
    port = free_port()
    words = ["qemu-system-arm", "-M", "microbit", "-device", f"loader,file={FIRMWARE}", "-nographic", "-monitor", "none"]
    board = subprocess.Popen(
        [*words, "-serial", f"tcp:127.0.0.1:{port},server=on,wait=off"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        prompt = Prompt(port)
        prompt.run("import gc")
        text = PROGRAM.read_text()
        parts = [ast.get_source_segment(text, node) for node in ast.parse(text).body[1:]]
        for part in parts[:-1]:
            assert part is not None
            prompt.run(part)
            prompt.run("gc.collect()")
        prompt.leave_with("run()")
        yield port
    finally:
        board.kill()
        board.wait()


def test_a_microbit_is_an_agent(microbit: int, broker: Broker, listener: Listener, tmp_path: Path) -> None:
    words = ["--line", f"{PATH}=socket://127.0.0.1:{microbit}", "--broker", f"mqtt://127.0.0.1:{broker.port}"]
    lamp = Listener(broker.port)  # of its own: what the lamp says may come before or after the answers
    bridge = BridgeProcess(words, tmp_path / "bridge.log")
    try:
        listener.wait_for(f"em/state/{PATH}", is_ready)
        first = int(listener.wait_for(f"em/out/{PATH}/uptime"))
        assert int(listener.wait_for(f"em/out/{PATH}/uptime")) > first
        for number in range(10):
            listener.send(f"em/in/{PATH}/lamp", event(f"c{number}", "off" if number % 2 else "on"))
        listener.send(f"em/in/{PATH}/lamp", event("full", "full"))
        answers: list[dict[str, str]] = []
        listener.wait_for(f"em/ack/{PATH}", lambda payload: answers.append(json.loads(payload)) or len(answers) == 11)  # type: ignore[func-returns-value]
        assert answers[:10] == [{"id": f"c{number}"} for number in range(10)]
        assert answers[10]["error"] == "the device refuses the value"
        assert lamp.wait_for(f"em/out/{PATH}/lit", lambda payload: payload == b"off")
        assert bridge.end() == 0
    finally:
        bridge.kill()
        lamp.close()
