"""Failover between host processes on a real broker: killed, stopped, woken, back. What reaches a foreign topic is counted."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from broker_process import BrokerProcess
from bus_fixtures import Ear
from failover_hosts import until

from edgematrix.transport.endpoint import Endpoint
from edgematrix.transport.paho import PahoTransport
from edgematrix.transport.settings import Settings

MATRIX = """
matrix: home
agents:
  guard:
    failover: {hosts: [a, b], failback: auto}
    triggers: {tick: {on: {c: {every: 100ms}}, do: [{publish: {topic: t/beat, payload: 1}}]}}
"""
LEASE = "em/lease/home/guard"


class Timed(Ear):
    """An ear that knows when it heard something."""

    def __init__(self, transport: PahoTransport) -> None:
        super().__init__(transport)
        self.beats_s: list[float] = []

    def received(self, topic: str, payload: bytes, qos: int, retained: bool) -> None:
        super().received(topic, payload, qos, retained)
        if topic == "t/beat":
            self.beats_s.append(time.monotonic())

    @property
    def holder(self) -> str:
        return self.on(LEASE)[-1]["holder"] if self.on(LEASE) else ""


@pytest.mark.slow
def test_whoever_holds_it_acts_and_nobody_else(own_broker: Callable[..., BrokerProcess], tmp_path: Path) -> None:
    broker = own_broker("mosquitto")
    broker.start()
    (tmp_path / "home.yaml").write_text(MATRIX)
    program = str(Path(sys.executable).with_name("edgematrix"))

    async def start(name: str) -> asyncio.subprocess.Process:
        folder = str(tmp_path / name)
        log = (tmp_path / f"{name}.log").open("ab")
        with log:
            return await asyncio.create_subprocess_exec(
                program, "host", "--name", name, "--broker", broker.url, "--state", folder, stdout=log, stderr=log
            )

    async def next_beat(ear: Timed, since_s: float) -> float:
        """How long after `since_s` it acted again, but for what was on its way then."""
        await until(lambda: bool(ear.beats_s) and ear.beats_s[-1] > since_s + 0.3)
        return next(at_s for at_s in ear.beats_s if at_s > since_s + 0.3) - since_s

    async def main() -> None:
        ear = Timed(PahoTransport(Endpoint.parse(broker.url), Settings(client_id="ear", close_timeout_s=1)))
        ear.transport.subscribe({"t/beat": 0, LEASE: 1, "em/host/+": 1})
        listening = asyncio.create_task(ear.transport.run(ear))
        hosts = {name: await start(name) for name in "ab"}
        try:
            await until(lambda: all(any(v.get("status") == "online" for v in ear.on(f"em/host/{name}")) for name in "ab"))
            deploy = await asyncio.create_subprocess_exec(program, "deploy", str(tmp_path / "home.yaml"), "--broker", broker.url)
            assert await deploy.wait() == 0
            await until(lambda: bool(ear.beats_s) and ear.holder == "a")
            hosts["a"].kill()
            await hosts["a"].wait()
            assert await next_beat(ear, time.monotonic()) < 10  # the aim is 5 s, where others leave it the machine
            assert ear.holder == "b"
            hosts["a"] = await start("a")
            await until(lambda: ear.holder == "a" and json.dumps(ear.on(LEASE)[-1]).count("giver") == 0, 30)
            await next_beat(ear, time.monotonic())
            os.kill(hosts["a"].pid, signal.SIGSTOP)
            assert await next_beat(ear, time.monotonic()) < 12
            assert ear.holder == "b"
            woken_s = time.monotonic()
            os.kill(hosts["a"].pid, signal.SIGCONT)
            await until(lambda: ear.beats_s[-1] > woken_s + 3, 60)
            counted = [at_s for at_s in ear.beats_s if woken_s < at_s <= woken_s + 3]
            assert 10 <= len(counted) <= 36  # ten a second, and no twenty: one host alone acts
        finally:
            for host in hosts.values():
                if host.returncode is None:
                    host.kill()
                    await host.wait()
            await ear.transport.close()
            await listening

    asyncio.run(main())
