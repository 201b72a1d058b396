"""A flow whose member works on another host: it answers, its host goes in the middle, and comes back. In memory and on a real broker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from bus_fixtures import WAIT_S, Bus, OnBus

from edgematrix.runtime.host import Host
from edgematrix.runtime.observation import Observation, Received

HERE = """
matrix: home
agents:
  work:
    triggers: {go: {mode: parallel, on: {in: {topic: t/go}}}}
    flow: {edges: [in -> far, far -> last]}
    agents:
      far: {host: other, inputs: {in: any}, outputs: {out: any}}
      last: {inputs: {in: any}, triggers: {t: {mode: parallel, on: {x: {from: self.in}}, do: [{emit: {out: "${x.value}"}}]}}}
  told:
    triggers:
      out: {mode: parallel, on: {r: {from: work}}, do: [{publish: {topic: t/out, payload: "${r.value}"}}]}
      error: {mode: parallel, on: {r: {from: work.error}}, do: [{publish: {topic: t/error, payload: "${r.value.reason}"}}]}
"""
THERE = """
matrix: home
agents:
  work:
    agents:
      far:
        inputs: {in: any}
        triggers: {t: {on: {x: {from: self.in}, free: {topic: t/free}}, do: [{emit: {out: "${x.value * 2}"}}, {emit: {out: again}}]}}
"""
STATE = "em/state/home/work/far"
IN = "em/in/home/work/far/in"


class Heard:
    """What a host has received, and a wait for more."""

    def __init__(self, host: Host) -> None:
        self._topics: list[tuple[str, Any]] = []
        self._news = asyncio.Event()
        host.engine.observers.append(self._take)

    def _take(self, observation: Observation) -> None:
        if isinstance(observation, Received):
            self._topics.append((observation.topic, observation.value))
            self._news.set()

    async def until(self, topic: str, holds: Callable[[Any], bool], since: int = 0) -> int:
        """Wait until a value on a topic is as asked; how much was received by then."""
        async with asyncio.timeout(WAIT_S):
            while not any(at == topic and holds(value) for at, value in self._topics[since:]):
                self._news.clear()
                await self._news.wait()
        return len(self._topics)


def test_a_member_on_another_host_answers_goes_and_comes_back(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear() as ear, bus.host(HERE) as (host, _):
            heard = Heard(host)
            async with bus.host(THERE, name="other"):
                seen = await heard.until(STATE, lambda state: state["status"] == "ready")
                ear.say("t/go", 4)
                await ear.until(lambda: len(ear.on(IN)) == 1)
                ear.say("t/free", 1)
                await ear.until(lambda: bool(ear.on("t/out")))
                assert ear.on("t/out") == [8]  # that it puts out more is nobody's answer
                ear.say("t/go", 5)
                await ear.until(lambda: len(ear.on(IN)) == 2)
            await ear.until(lambda: bool(ear.on("t/error")))
            assert ear.on("t/error") == ["its host other is offline"]
            await heard.until("em/host/other", lambda state: state["status"] == "offline", seen)
            ear.say("t/go", 6)
            await ear.until(lambda: len(ear.on("t/error")) == 2)
            assert len(ear.on(IN)) == 2  # nothing was sent to one who is known to be gone
            async with bus.host(THERE, name="other"):
                await heard.until(STATE, lambda state: state["status"] == "ready", seen)
                ear.say("t/go", 7)
                await ear.until(lambda: len(ear.on(IN)) == 3)
                ear.say("t/free", 1)
                await ear.until(lambda: len(ear.on("t/out")) == 2)
                assert ear.on("t/out") == [8, 14]
            assert not host.engine.calls.open

    on_bus(test)
