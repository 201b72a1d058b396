"""Agents that move to another host when theirs is gone: in memory and on a real broker."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from broker_process import BrokerProcess
from bus_fixtures import Bus, Ear
from failover_hosts import FailoverHost, until

from edgematrix.hosting.leased import LeasedUnit
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.ports import Transport
from edgematrix.transport.endpoint import Endpoint
from edgematrix.transport.memory import MemoryTransport
from edgematrix.transport.memory_bus import MemoryBus
from edgematrix.transport.paho import PahoTransport
from edgematrix.transport.settings import Settings

HOME = """
matrix: home
agents:
  guard:
    outputs: {seen: {type: any}}
    triggers:
      third: {on: {v: {topic: t/in, count: {at_least: 3}}}, do: [{publish: {topic: t/third, payload: done}}]}
      each: {mode: parallel, on: {v: {topic: t/in}}, do: [{emit: {seen: "${v.value}"}}, {publish: {topic: t/each, payload: "${v.value}"}}]}
  light:
    inputs: {set: any}
    triggers: {t: {mode: parallel, on: {v: {from: self.set}}, do: [{publish: {topic: t/light, payload: "${v.value}"}}]}}
  sender:
    triggers: {t: {mode: parallel, on: {v: {topic: t/in}}, do: [{send: {to: light.set, payload: "${v.value}"}}]}}
"""
GUARD = AgentPath("home/guard")


def unit(path: str = "home/guard", **more: object) -> LeasedUnit:
    return LeasedUnit(AgentPath(path), ("a", "b"), definition="1", **more)  # type: ignore[arg-type]


class Site:
    """A broker, and hosts that are started, cut off and killed."""

    def __init__(self, folder: Path, connect: Callable[[Settings], Transport], cut: Callable[[FailoverHost], None]) -> None:
        self.folder = folder
        self.connect = connect
        self.cut = cut
        self.bus = Bus(connect, folder)
        (folder / "matrix.yaml").write_text(HOME)

    def make(self, name: str, *units: LeasedUnit, connect: Callable[[Settings], Transport] | None = None, **more: object) -> FailoverHost:
        apart = {"home/light": "b", "home/sender": "a"}
        wanted = units or (unit(),)
        for found in wanted:
            apart.pop(found.path, None)
        return FailoverHost(
            name,
            connect or self.connect,
            self.folder,
            units={found.path: found for found in wanted},
            apart=apart,
            **more,  # type: ignore[arg-type]
        )


@pytest.fixture(params=["memory", "mosquitto"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Callable[[Site], Awaitable[None]]], None]:
    def run(test: Callable[[Site], Awaitable[None]]) -> None:
        async def main() -> None:
            if request.param == "memory":
                bus = MemoryBus()
                made = Site(tmp_path, lambda settings: MemoryTransport(bus, settings), lambda host: bus.isolate(host.client_id))
            else:
                broker: BrokerProcess = request.getfixturevalue("own_broker")("mosquitto")
                broker.start()
                endpoint = Endpoint.parse(broker.url)
                made = Site(tmp_path, lambda settings: PahoTransport(endpoint, settings), _abort)
            async with asyncio.timeout(60):
                await test(made)

        asyncio.run(main())

    return run


def _abort(host: FailoverHost) -> None:
    """As a kill -9 does: the connection is gone, and the broker says the will; the host cannot connect again."""
    transport = host.transport
    assert isinstance(transport, PahoTransport)
    transport._endpoint = Endpoint.parse("mqtt://127.0.0.1:1")
    transport.sever("the test has cut it off")


OnSite = Callable[[Callable[[Site], Awaitable[None]]], None]


async def feed(ear: Ear, *values: object) -> None:
    for value in values:
        ear.say("t/in", value)
    await ear.until(lambda: [value for value in ear.on("t/in") if value in values] != [])


def test_the_first_choice_runs_it_and_the_next_one_takes_over_with_its_state(site: OnSite) -> None:
    async def test(made: Site) -> None:
        a, b = made.make("a"), made.make("b")
        async with AsyncExitStack() as stack:
            ear = await stack.enter_async_context(made.bus.ear())
            await stack.enter_async_context(a.running())
            await stack.enter_async_context(b.running())
            took_s = await until(lambda: a.has(GUARD))
            assert took_s < 6
            assert not b.has(GUARD)
            ear.say("t/in", 1)
            ear.say("t/in", 2)
            await ear.until(lambda: ear.on("t/each") == [1, 2])
            await ear.until(lambda: _counted(ear) >= 1)  # the snapshot with both has been published
            made.cut(a)
            took_s = await until(lambda: b.has(GUARD))
            assert took_s < 5
            ear.say("t/in", 3)
            await ear.until(lambda: 3 in ear.on("t/each"))
            await ear.until(lambda: ear.on("t/third") == ["done"])  # two of three were counted on the other host
            assert ear.on("t/each") == [1, 2, 3]
            await until(lambda: not a.has(GUARD))
            print(f"after the will: {took_s:.2f} s")

    site(test)


def _counted(ear: Ear) -> int:
    return len(ear.on("em/state/home/guard/_snapshot"))
