"""A hop between two hosts over mosquitto, beside a request and its answer between two bare paho clients."""

from __future__ import annotations

import asyncio
import statistics
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.processes import mosquitto, running
from edgematrix.config.launch import Launch, launch
from edgematrix.config.opening import open_matrix
from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.message import NO_TRAIL, Message
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.engine import Engine, Hits

__all__ = ["round_trips"]

_TRIPS = 500
_HOPS = 10
_WAIT_S = 10.0
_MEMBERS = [f"s{number}" for number in range(_HOPS)]
_ASKING = "\n".join(f"      {name}: {{host: other, inputs: {{in: any}}, outputs: {{out: any}}}}" for name in _MEMBERS)
_ANSWERING = "\n".join(f"      {name}: {{python: 'benchmarks.composed.members:step'}}" for name in _MEMBERS)
_HERE = f"""
matrix: home
defaults: {{delivery: DELIVERY}}
agents:
  chain:
    flow: {{edges: ["in -> {" -> ".join(_MEMBERS)}"]}}
    agents:
{_ASKING}
"""
_THERE = f"""
matrix: home
defaults: {{delivery: DELIVERY}}
agents:
  chain:
    agents:
{_ANSWERING}
"""


def round_trips(place: Path) -> None:
    """Measure and print."""
    with mosquitto(place) as port:
        bare_us = _bare(port, place)
        found = {delivery: asyncio.run(_hops(port, place, delivery)) for delivery in ("best_effort", "durable")}
    print(f"\n{'between two hosts over mosquitto, a hop and back':52} {'us':>8} {'x bare':>10}")
    print(f"{'a request and its answer, bare paho (median)':52} {bare_us:8.0f} {1:10.2f}")
    for delivery, hop_us in found.items():
        aim = "; aim 1.5" if delivery == "best_effort" else ""
        print(f"{f'a step on another host, {delivery} (median{aim})':52} {hop_us:8.0f} {hop_us / bare_us:10.2f}")


def _bare(port: int, place: Path) -> float:
    with running([sys.executable, "-m", "benchmarks.floors.bare_answer", str(port)], place / "bare.log"):
        answered = threading.Event()
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="bare-ask")
        client.on_connect = lambda asking, *_: asking.subscribe("bench/answer")
        client.on_message = lambda *_: answered.set()
        client.connect("127.0.0.1", port)
        client.loop_start()
        give_up_at_s = time.monotonic() + _WAIT_S
        while not answered.wait(0.1):
            client.publish("bench/ask", b"1")
            if time.monotonic() > give_up_at_s:
                raise TimeoutError("the bare client does not answer")
        trips = [_trip(client, answered) for _ in range(_TRIPS)]
        client.disconnect()
        client.loop_stop()
    return statistics.median(trips) * 1e6


def _trip(client: mqtt.Client, answered: threading.Event) -> float:
    answered.clear()
    began = time.perf_counter()
    client.publish("bench/ask", b'{"number": 1, "note": ""}')
    if not answered.wait(_WAIT_S):
        raise TimeoutError("the bare client does not answer")
    return time.perf_counter() - began


class _End:
    """Hears the ends of runs."""

    agent = AgentPath("home")

    def __init__(self) -> None:
        self.heard = asyncio.Event()
        self.value: Any = None

    def receive(self, message: Message, hits: Hits, now_us: int) -> None:  # noqa: ARG002 - a listener's signature
        """Take what came out."""
        self.value = message.value
        self.heard.set()


async def _hops(port: int, place: Path, delivery: str) -> float:
    place /= delivery
    place.mkdir()
    here, there = place / "here.yaml", place / "there.yaml"
    here.write_text(_HERE.replace("DELIVERY", delivery))
    there.write_text(_THERE.replace("DELIVERY", delivery))
    url = f"mqtt://127.0.0.1:{port}"
    command = [sys.executable, "-m", "benchmarks.floors.host_alone", str(there), url, str(place / "other"), "benchmarks"]
    with running(command, place / "other.log"):
        async with _asking(here, url, place) as (engine, end):
            await _until_there(engine, end)
            trips = [await _run(engine, end) for _ in range(_TRIPS // _HOPS)]
    return statistics.median(trips) / _HOPS * 1e6


@asynccontextmanager
async def _asking(matrix: Path, url: str, place: Path) -> AsyncIterator[tuple[Engine, _End]]:
    async with launch(open_matrix(matrix), Launch(name="here", folder=place / "here", url=url, changed=lambda _: None)) as launched:
        end = _End()
        launched.host.engine.listen(TopicFilter.parse("em/out/home/chain/out"), end)
        host = asyncio.create_task(launched.host.run())
        await asyncio.sleep(0)  # it takes up what is stored; then runs may begin
        yield launched.host.engine, end
        launched.host.stop()
        await host


async def _until_there(engine: Engine, end: _End) -> None:
    """Runs that were begun before the other host listens are lost to it."""
    async with asyncio.timeout(_WAIT_S):
        while True:
            _start(engine)
            try:
                async with asyncio.timeout(0.5):
                    await end.heard.wait()
                    return
            except TimeoutError:
                continue


async def _run(engine: Engine, end: _End) -> float:
    end.heard.clear()
    began = time.perf_counter()
    _start(engine)
    async with asyncio.timeout(_WAIT_S):
        await end.heard.wait()
    return time.perf_counter() - began


def _start(engine: Engine) -> None:
    now_us = time.time_ns() // 1000
    engine.send(AgentPath("home"), AgentPath("home/chain"), "in", {"number": 0, "note": ""}, NO_TRAIL, now_us)
    engine.settle(now_us)
