"""How long a sleeping board's radio is on, and what it says meanwhile: a reading out, what waited in, and back to sleep.

`python -m benchmarks firmware wake [--wakes N]`. The floor of the same run is a bare socket: connected, one write, one answer. The
network is a proxy that holds each piece for half a round trip, and the first one for a whole one more, which a real connection
takes to open.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from firmware_bridge import micropython

__all__ = ["main"]

PROGRAM = """
import json, sys
from upy.keep import FileKeep
from upy.sleep import Sleeper
probe = Sleeper("home/shed/probe", "127.0.0.1", int(sys.argv[1]), every_s=600, keep=FileKeep(sys.argv[2]), log=lambda _: None)
probe.on("set", lambda command: None)
probe.emit("temperature", 21.5, qos=1)
print(json.dumps(probe.wake()))
"""
_RTTS_MS = (0, 50)
_READ_BYTES = 65_536


class Slow:
    """A proxy with a round trip time, in a thread of its own."""

    def __init__(self, target_port: int, rtt_s: float) -> None:
        self._target_port = target_port
        self._rtt_s = rtt_s
        self._loop = asyncio.new_event_loop()
        self.port = 0
        self._is_up = threading.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._is_up.wait()

    def close(self) -> None:
        """End it."""
        asyncio.run_coroutine_threadsafe(self._leave(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = int(server.sockets[0].getsockname()[1])
        self._is_up.set()
        self._loop.run_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        for end in (writer, to_writer):
            end.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for source, sink, opening_s in ((reader, to_writer, self._rtt_s), (to_reader, writer, 0.0)):
            task = self._loop.create_task(self._pass_on(source, sink, opening_s))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, opening_s: float) -> None:
        earliest = self._loop.time() + opening_s
        with suppress(OSError):
            while data := await source.read(_READ_BYTES):
                due = max(earliest, self._loop.time()) + self._rtt_s / 2
                self._loop.call_at(due, sink.write, data)
        self._loop.call_later(self._rtt_s, sink.close)


@contextmanager
def broker(folder: Path) -> Iterator[int]:
    """A mosquitto on a port of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n")
    with subprocess.Popen(["mosquitto", "-c", str(config)], stderr=subprocess.DEVNULL) as process:
        try:
            while True:
                with suppress(OSError):
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                time.sleep(0.01)
            yield port
        finally:
            process.terminate()


@contextmanager
def echo() -> Iterator[int]:
    """A server that answers each piece with one of the same length."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection:
                    connection.sendall(connection.recv(_READ_BYTES))

    threading.Thread(target=serve, daemon=True).start()
    yield int(server.getsockname()[1])
    server.close()


def bare_ms(port: int) -> float:
    """A connection, a write and its answer."""
    begun = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"x" * 150)
        connection.recv(_READ_BYTES)
    return (time.perf_counter() - begun) * 1_000


def wake(program: Path, port: int, kept: Path) -> dict[str, int]:
    """Let the board wake once."""
    words = [*micropython.command(), str(program), str(port), str(kept)]
    done = subprocess.run(words, env=micropython.environment(), capture_output=True, text=True, check=True)
    found: dict[str, int] = json.loads(done.stdout)
    assert found["drained"], done.stdout
    return found


def measure(program: Path, port: int, folder: Path, rtt_ms: int, wakes: int, leave: Callable[[], None]) -> str:
    """A line about wakes at a round trip time."""
    kept = folder / f"kept{rtt_ms}"
    slow = Slow(port, rtt_ms / 1_000)
    wake(program, slow.port, kept)  # the first one subscribes and says its birth
    found = []
    for _ in range(wakes):
        leave()
        found.append(wake(program, slow.port, kept))
    slow.close()
    with echo() as answering:
        floor_proxy = Slow(answering, rtt_ms / 1_000)
        floor = statistics.median(bare_ms(floor_proxy.port) for _ in range(wakes))
        floor_proxy.close()
    took = [float(one["ms"]) for one in found]
    middle = statistics.median(took)
    last = found[-1]
    return (
        f"  {rtt_ms:3d} ms round trip: {middle:6.1f} ms awake (worst {max(took):.0f}), bare socket {floor:6.1f}: {middle / floor:.2f} x;"
        f" {last['sent']} bytes out, {last['read']} in, one command that waited among them"
    )


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks firmware wake")
    parser.add_argument("--wakes", type=int, default=20)
    wakes = parser.parse_args().wakes
    if shutil.which("mosquitto") is None:
        sys.exit("mosquitto is not installed")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = folder / "probe.py"
        program.write_text(PROGRAM)
        with broker(folder) as port:

            def leave() -> None:
                words = ["mosquitto_pub", "-p", str(port), "-q", "1", "-t", "em/in/home/shed/probe/set", "-m", "on"]
                subprocess.run(words, check=True)

            print(f"waking, {wakes} times each, MicroPython in the heap of a 64 KiB chip")
            for rtt_ms in _RTTS_MS:
                print(measure(program, port, folder, rtt_ms, wakes, leave))


if __name__ == "__main__":
    main()
