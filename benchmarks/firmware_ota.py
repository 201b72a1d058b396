"""How long an update over the air takes, and what it says on the air: 100 kB from the command line's desk to a board that runs it.

`python -m benchmarks firmware ota [--rounds N] [--size BYTES]`. The board is MicroPython with the memory of a chip, with its flash on this
machine's disk; the network is a proxy that holds each piece for half a round trip and counts bytes in both directions. The floor of the
same run is bare paho: the same bytes in one message of QoS 1, from one client to another one behind the same kind of proxy.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import queue
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.firmware_wake import Slow, broker
from firmware_bridge import micropython
from firmware_bridge.ota.desk import Desk
from firmware_bridge.ota.image import Image, make_image
from firmware_bridge.ota.key import make_key
from firmware_bridge.ota.program import collect, compiled, compiler, write_tree

_BOARD: Final = "home/greenhouse/board"
_RTTS_MS: Final = (0, 50)
_CHUNKS: Final = (768, 4_096)
_READ_BYTES: Final = 65_536
_WAIT_S: Final = 120.0
_PROGRAM: Final = """
import json
from upy.agent import Agent
from upy.update import Updater
agent = Agent("home/greenhouse/board", "127.0.0.1", json.load(open("port")), packet_bytes_max=int(open("packet").read()))
Updater(agent, "greenhouse")
agent.run()
"""


class Counted(Slow):
    """A proxy that counts what passes."""

    passed_bytes = 0

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, opening_s: float) -> None:
        earliest = self._loop.time() + opening_s
        with suppress(OSError):
            while data := await source.read(_READ_BYTES):
                self.passed_bytes += len(data)
                self._loop.call_at(max(earliest, self._loop.time()) + self._rtt_s / 2, sink.write, data)
        self._loop.call_later(self._rtt_s, sink.close)


class Run(NamedTuple):
    """What one update took: until all was loaded and found right, until it was confirmed by the new program; bytes while it was loaded."""

    load_s: float
    whole_s: float
    passed_bytes: int


def _connected(port: int, on_message: Callable[[mqtt.MQTTMessage], object], *filters: str) -> mqtt.Client:
    ready = threading.Event()
    client = mqtt.Client(CallbackAPIVersion.VERSION2)

    def connected(*_: object) -> None:
        if filters:
            client.subscribe([(one, 1) for one in filters])
        else:
            ready.set()

    def subscribed(*_: object) -> None:
        ready.set()

    def heard(_client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        on_message(message)

    client.on_connect, client.on_subscribe, client.on_message = connected, subscribed, heard
    client.connect("127.0.0.1", port)
    client.loop_start()
    assert ready.wait(_WAIT_S)
    return client


def bare(port: int, body: bytes, rtt_ms: int) -> tuple[float, int]:
    """Seconds and bytes on the receiver's line of one message."""
    arrived = threading.Event()
    proxy = Counted(port, rtt_ms / 1_000)
    receiver = _connected(proxy.port, lambda _: arrived.set(), "t/floor")
    sender = _connected(port, lambda _: None)
    before, begun = proxy.passed_bytes, time.perf_counter()
    sender.publish("t/floor", body, 1)
    assert arrived.wait(_WAIT_S)
    took = time.perf_counter() - begun
    time.sleep(rtt_ms / 1_000 + 0.02)  # the acknowledgement is on its way
    passed = proxy.passed_bytes - before
    for client in (sender, receiver):
        client.disconnect()
        client.loop_stop()
    proxy.close()
    return took, passed


@contextmanager
def powered(folder: Path) -> Iterator[None]:
    """A board that is started again whenever it restarts."""
    off = threading.Event()
    environment = {name: value for name, value in os.environ.items() if name != "MICROPYPATH"}
    running: list[subprocess.Popen[bytes]] = []

    def keep_on() -> None:
        while not off.is_set():
            words = [*micropython.command(), "main.py"]
            running.append(subprocess.Popen(words, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            running[-1].wait()

    thread = threading.Thread(target=keep_on, daemon=True)
    thread.start()
    yield
    off.set()
    while thread.is_alive():
        for process in running[-1:]:
            process.kill()
        thread.join(0.05)


def update(port: int, folder: Path, old: Image, new: Image, key_line: str, rtt_ms: int) -> Run:
    """Let a new board take an image."""
    proxy = Counted(port, rtt_ms / 1_000)
    write_tree(folder, old, [key_line], [])
    (folder / "port").write_text(str(proxy.port))
    (folder / "packet").write_text(str(new.manifest.chunk + 256))
    told: queue.Queue[tuple[float, dict[str, object]]] = queue.Queue()
    desk = Desk(new, [_BOARD])

    def heard(message: mqtt.MQTTMessage) -> None:
        if message.topic.endswith("_firmware") and message.payload and not message.retain:
            told.put((time.perf_counter(), json.loads(message.payload)))
        for publication in desk.heard(message.topic, bytes(message.payload), message.retain, time.monotonic()):
            client.publish(publication.topic, publication.payload, publication.qos, publication.retain)

    client = _connected(port, heard, *desk.filters)

    def wait(holds: Callable[[dict[str, object]], bool]) -> float:
        while True:
            at, state = told.get(timeout=_WAIT_S)
            assert not state["refused"], state
            if holds(state):
                return at

    with powered(folder):
        wait(lambda state: state["phase"] == "idle")
        before, begun = proxy.passed_bytes, time.perf_counter()
        for offer in desk.offers():
            client.publish(offer.topic, offer.payload, offer.qos, offer.retain)
        loaded = wait(lambda state: state["phase"] == "trial")
        passed = proxy.passed_bytes - before
        confirmed = wait(lambda state: state["version"] == new.manifest.version)
    for topic in (f"em/in/{_BOARD}/_update", f"em/state/{_BOARD}/_firmware"):
        client.publish(topic, b"", 1, retain=True).wait_for_publish(_WAIT_S)  # the next board is another one
    client.disconnect()
    client.loop_stop()
    proxy.close()
    return Run(loaded - begun, confirmed - begun, passed)


def _images(folder: Path, size: int) -> tuple[str, dict[int, tuple[Image, Image]]]:
    """The line of the key, and for each size of a chunk an old and a new image; the new one has so many bytes."""
    key = make_key(folder / "key.pem")
    app = folder / "app"
    app.mkdir()
    (app / "main.py").write_text(_PROGRAM)
    files = compiled(collect(app), compiler())
    rest = size - sum(len(data) for _, data in files)
    noise = random.Random(1).randbytes(rest)  # noqa: S311 - no secret
    found = {}
    for chunk in _CHUNKS:
        made = [
            make_image(more, board="greenhouse", version=version, made="2026-01-01T00:00:00Z", chunk=chunk)
            for version, more in ((1, files), (2, [*files, ("noise.bin", noise)]))
        ]
        old, new = (image.signed(key.sign(image.manifest_bytes)) for image in made)
        found[chunk] = (old, new)
    return key.line, found


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks firmware ota")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=100_000)
    arguments = parser.parse_args()
    if shutil.which("mosquitto") is None:
        sys.exit("mosquitto is not installed")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        line, images = _images(folder, arguments.size)
        with broker(folder) as port:
            size = images[_CHUNKS[0]][1].manifest.size
            print(f"an update of {size:,} bytes, RSA-2048, {arguments.rounds} times each, MicroPython in the heap of a 64 KiB chip")
            for rtt_ms in _RTTS_MS:
                floors = [bare(port, images[_CHUNKS[0]][1].body, rtt_ms) for _ in range(arguments.rounds)]
                floor_s, floor_bytes = statistics.median(took for took, _ in floors), floors[0][1]
                print(f"  {rtt_ms:3d} ms round trip; bare paho, one message: {floor_s:6.3f} s, {floor_bytes:,} bytes")
                for chunk, (old, new) in images.items():
                    runs = [update(port, folder / f"b{rtt_ms}-{chunk}-{n}", old, new, line, rtt_ms) for n in range(arguments.rounds)]
                    load_s, whole_s = (statistics.median(run[place] for run in runs) for place in (0, 1))
                    passed = statistics.median(run.passed_bytes for run in runs)
                    print(
                        f"    chunks of {chunk:5,}: loaded and verified {load_s:6.3f} s ({load_s / floor_s:.1f} x), runs and confirmed "
                        f"{whole_s:6.3f} s, {passed:,.0f} bytes both ways ({passed / floor_bytes:.3f} x)"
                    )


if __name__ == "__main__":
    main()
