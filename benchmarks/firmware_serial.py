"""Round trips over a serial line: a command to a board behind the bridge, until the value that it gives back is on the bus.

    python -m benchmarks firmware serial [--trips N]

Two floors of the same run: the same bytes to a process that gives them back over a bare pseudo-terminal, and a bare paho client that
gives them back over the same broker. A pseudo-terminal takes no time for bytes; `at 115200 baud` adds what a real line takes for them.
"""

from __future__ import annotations

import argparse
import os
import pty
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import tty
from collections.abc import Callable
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.processes import mosquitto, running
from firmware_bridge import micropython
from firmware_bridge.upy.serial_frame import pack

__all__ = ["main"]

_PATH = "home/shed/board"
_BAUD = 115_200
_BITS = 10
_WAIT_S = 20.0
_WARM = 50
_BOARD = """
import sys
from upy.serial_agent import SerialAgent
path = sys.argv[1]
stream = open(path, "r+b") if sys.implementation.name == "micropython" else open(path, "r+b", buffering=0)
agent = SerialAgent("board", stream)
agent.output("echo")
agent.on("set", lambda value: agent.emit("echo", value))
agent.run()
"""
_BACK = """
import os, sys, tty
line = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
tty.setraw(line)
while True:
    os.write(line, os.read(line, 1024))
"""
_BARE = """
import socket, sys
import paho.mqtt.client as mqtt
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
def connected(*_):
    client.socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else each trip waits 20 ms for Nagle's algorithm
    client.subscribe("em/in/home/shed/board/set", 1)
client.on_connect = connected
client.on_message = lambda _client, _data, message: client.publish("em/out/home/shed/board/echo", message.payload)
client.connect("127.0.0.1", int(sys.argv[1]))
client.loop_forever()
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks firmware serial", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--trips", type=int, default=500, help="how many are measured of each")
    trips = parser.parse_args().trips
    print(f"{'':32} {'p50 ms':>8} {'p99 ms':>8} {'x bare pty':>11} {'x bare paho':>12}")
    with tempfile.TemporaryDirectory() as name, mosquitto(Path(name)) as port:
        place = Path(name)
        terminal = _terminal(place, trips)
        _show("bare pty", terminal, terminal, None)
        with running([sys.executable, "-c", _BARE, str(port)], place / "bare.log"):
            bare = _over_the_bus(port, trips)
        _show("bare paho", bare, terminal, bare)
        for label, words in (("board, CPython", [sys.executable]), ("board, MicroPython", micropython.command())):
            _show(label, _bridged(place, port, words, trips), terminal, bare)
    command = len(pack(0, 0x85, 0, bytes(5) + b"0001"))
    answers = len(pack(0, 0x03, 0, bytes(1) + b"0001")) + len(pack(0, 0x05, 0, bytes(5)))
    wire_ms = (command + answers) * _BITS / _BAUD * 1e3
    print(f"bytes on the line: {command} there, {answers} back with the acknowledgement; at {_BAUD} baud {wire_ms:.1f} ms more")


def _show(name: str, found: list[float], terminal: list[float], bare: list[float] | None) -> None:
    found = sorted(found)
    middle = statistics.median(found)
    late = found[min(len(found) - 1, int(len(found) * 0.99))]
    to_bare = "" if bare is None else f"{middle / statistics.median(bare):.2f}"
    print(f"{name:32} {middle * 1e3:8.3f} {late * 1e3:8.3f} {middle / statistics.median(terminal):11.2f} {to_bare:>12}", flush=True)


def _trips(count: int, go: Callable[[int], None]) -> list[float]:
    for number in range(_WARM):
        go(number)
    found = []
    for number in range(count):
        began_s = time.perf_counter()
        go(number)
        found.append(time.perf_counter() - began_s)
    return found


def _terminal(place: Path, count: int) -> list[float]:
    """To a process at the other end of a pseudo-terminal, and back."""
    master, other = pty.openpty()
    tty.setraw(other)
    with running([sys.executable, "-c", _BACK, os.ttyname(other)], place / "back.log"):
        time.sleep(0.5)  # it opens the line

        def go(number: int) -> None:
            frame = pack(0, 0x85, 0, bytes(5) + b"%04d" % number)
            os.write(master, frame)
            left = len(frame)
            while left:
                left -= len(os.read(master, left))

        return _trips(count, go)


def _over_the_bus(port: int, count: int) -> list[float]:
    """A value to the board's input, until the same one comes from its output."""
    came, there = threading.Event(), threading.Event()
    wanted = [b""]
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.on_subscribe = lambda *_: there.set()
    client.on_message = lambda _client, _data, message: came.set() if message.payload == wanted[0] else None
    client.connect("127.0.0.1", port)
    client.subscribe(f"em/out/{_PATH}/echo")
    client.loop_start()
    assert there.wait(_WAIT_S)

    def go(number: int) -> None:
        wanted[0] = b"%04d" % (number + 1_000)
        came.clear()
        client.publish(f"em/in/{_PATH}/set", wanted[0], 1)
        assert came.wait(_WAIT_S), "nothing came back"

    try:
        _wait_until(lambda: _answers(client, came, wanted))
        return _trips(count, go)
    finally:
        client.disconnect()
        client.loop_stop()


def _answers(client: mqtt.Client, came: threading.Event, wanted: list[bytes]) -> bool:
    wanted[0] = b"0"
    client.publish(f"em/in/{_PATH}/set", b"0", 1)
    return came.wait(0.2)


def _wait_until(holds: Callable[[], bool]) -> None:
    until_s = time.monotonic() + _WAIT_S
    while not holds():
        assert time.monotonic() < until_s, "it does not come up"


def _bridged(place: Path, port: int, interpreter: list[str], count: int) -> list[float]:
    """Over the bridge and a pseudo-terminal, whose two ends are one line."""
    ends = [pty.openpty() for _ in range(2)]
    for _, other in ends:
        tty.setraw(other)
    (bridge, bridge_end), (board, board_end) = ends
    pump = subprocess.Popen([sys.executable, "-c", _PUMP, str(bridge), str(board)], pass_fds=(bridge, board))
    program = place / "board.py"
    program.write_text(_BOARD)
    line = f"{_PATH}={os.ttyname(bridge_end)}@{_BAUD}"
    url = f"mqtt://127.0.0.1:{port}"
    words = [sys.executable, "-m", "edgematrix", "bridge", "serial", "--line", line, "--broker", url, "--rate", "10000"]
    try:
        with running(words, place / "bridge.log"):
            environment = micropython.environment()
            device = subprocess.Popen([*interpreter, str(program), os.ttyname(board_end)], env=environment)
            try:
                return _over_the_bus(port, count)
            finally:
                device.kill()
                device.wait()
    finally:
        pump.kill()
        pump.wait()
        for descriptor in (bridge, bridge_end, board, board_end):
            os.close(descriptor)


_PUMP = """
import os, select, sys
one, other = int(sys.argv[1]), int(sys.argv[2])
while True:
    for source in select.select([one, other], [], [])[0]:
        os.write(other if source == one else one, os.read(source, 1024))
"""
