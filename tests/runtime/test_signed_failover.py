"""An agent moves to the next host where everything between hosts is signed, and somebody who has the broker cannot have it moved."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

from bus_fixtures import Bus, Ear
from failover_hosts import FailoverHost, until
from hostile import make_keys

from edgematrix.hosting.leased import LeasedUnit
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.clock import PlayClock, SystemClock
from edgematrix.transport.memory import MemoryTransport
from edgematrix.transport.memory_bus import MemoryBus

HOME = """
matrix: home
sign: true
agents:
  guard:
    triggers:
      third: {on: {v: {topic: t/in, count: {at_least: 3}}}, do: [{publish: {topic: t/third, payload: done}}]}
      each: {mode: parallel, on: {v: {topic: t/in}}, do: [{publish: {topic: t/each, payload: "${v.value}"}}]}
"""
GUARD = AgentPath("home/guard")
UNIT = LeasedUnit(GUARD, ("a", "b"), definition="1")
LEASE, SNAPSHOT = "em/lease/home/guard", "em/state/home/guard/_snapshot"


def test_a_lease_that_is_forged_or_old_moves_nothing_and_one_that_lapses_does(tmp_path: Path) -> None:
    async def main() -> None:
        make_keys(tmp_path / "keys", ("a", "b"))
        (tmp_path / "matrix.yaml").write_text(HOME)
        memory = MemoryBus()

        def made(name: str) -> FailoverHost:
            clock = PlayClock(8.0, SystemClock().wall_us())
            connect = lambda settings: MemoryTransport(memory, settings)  # noqa: E731 - of this bus
            return FailoverHost(name, connect, tmp_path, units={GUARD: UNIT}, apart={}, clock=clock, store=True)

        a, b = made("a"), made("b")
        bus = Bus(lambda settings: MemoryTransport(memory, settings), tmp_path)
        async with asyncio.timeout(60), AsyncExitStack() as stack:
            ear = await stack.enter_async_context(bus.ear())
            await stack.enter_async_context(a.running())
            await stack.enter_async_context(b.running())
            await until(lambda: a.has(GUARD))
            ear.say("t/in", 1)
            await ear.until(lambda: ear.on("t/each") == [1] and len(ear.on(SNAPSHOT)) >= 1)
            lease, oldest = ear.on(LEASE)[-1], ear.on(LEASE)[0]
            stolen = {key: value for key, value in lease.items() if key != "signature"} | {"epoch": lease["epoch"] + 5, "holder": "b"}
            for said in (stolen, lease | {"holder": "b"}, oldest):
                _say(ear, LEASE, said)
            forged = {"v": 1, "epoch": lease["epoch"] + 5, "definition": "1", "state": {}, "left_out": []}
            _say(ear, SNAPSHOT, forged)
            ear.say("t/in", 2)
            await ear.until(lambda: ear.on("t/each") == [1, 2] and ear.on(SNAPSHOT)[-1] != forged)  # somebody else put it right again
            gates = [host.host.gate for host in (a, b)]
            await until(lambda: all(gate is not None and gate.refused.total() >= 3 for gate in gates))
            beats = len(ear.on(LEASE))
            await ear.until(lambda: len(ear.on(LEASE)) >= beats + 3)
            assert a.has(GUARD)
            assert not b.has(GUARD)
            memory.isolate(a.client_id)
            await until(lambda: b.has(GUARD))
            ear.say("t/in", 3)
            await ear.until(lambda: ear.on("t/third") == ["done"])  # two of three were counted on the other host

    asyncio.run(main())


def _say(ear: Ear, topic: str, value: object) -> None:
    ear.say(topic, json.dumps(value, separators=(",", ":")).encode(), retain=True)
