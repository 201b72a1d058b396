"""Durable agents that move: what they had under way when their host was killed, and what is on its way to and from them."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest
from bus_fixtures import Bus, Ear
from failover_hosts import FailoverHost, until

from edgematrix.delivery.segment import ENTRY_MARK
from edgematrix.hosting.leased import LeasedUnit
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.clock import PlayClock, SystemClock
from edgematrix.runtime.observation import DeadLettered, Observation
from edgematrix.runtime.snapshot import read_snapshot
from edgematrix.transport.memory import MemoryTransport
from edgematrix.transport.memory_bus import MemoryBus

MATRIX = """
matrix: home
agents:
  work:
    triggers: {go: {mode: parallel, on: {in: {topic: t/go}}}}
    flow: {edges: [in -> first, first -> oracle, oracle -> last]}
    agents:
      first: {python: "steps:first"}
      oracle: {human: {ask: "Well?", timeout: 1h, answers: t/answer}}
      last: {python: "steps:last"}
  plan:
    triggers: {go: {mode: parallel, on: {in: {topic: t/plan}}}}
    flow: {edges: [in -> step]}
    agents:
      step: {human: {ask: "And?", timeout: 1h, answers: t/answer/plan}}
  near:
    triggers: {go: {mode: parallel, on: {in: {topic: t/near}}}}
    flow: {edges: [in -> step]}
    agents:
      step: {human: {ask: "So?", timeout: 1h, answers: t/answer/near}}
  pair: {delivery: durable, inputs: {x: any, y: any}, python: "steps:pair"}
  sink:
    delivery: durable
    inputs: {set: any}
    outputs: {seen: {type: any}}
    triggers:
      t: {mode: parallel, on: {v: {from: self.set}}, do: [{emit: {seen: "${v.value}"}}]}
      u: {mode: parallel, on: {v: {topic: t/bare}}, do: [{emit: {seen: "${v.value}"}}]}
  sender:
    delivery: durable
    triggers: {t: {mode: parallel, on: {v: {topic: t/in}}, do: [{send: {to: sink.set, payload: "${v.value}"}}]}}
  told:
    delivery: durable
    triggers:
      t: {mode: parallel, on: {v: {from: sink.seen}}, do: [{publish: {topic: t/seen, payload: "${v.value}", qos: 1}}]}
      p: {mode: parallel, on: {v: {from: plan}}, do: [{publish: {topic: t/planned, payload: "${v.value}", qos: 1}}]}
      n: {mode: parallel, on: {v: {from: near}}, do: [{publish: {topic: t/planned, payload: "${v.value}", qos: 1}}]}
      w: {mode: parallel, on: {v: {from: work}}, do: [{publish: {topic: t/done, payload: "${v.value}", qos: 1}}]}
"""
STEPS = """
from edgematrix import Firing

async def first(value: object, context) -> object:
    await context.publish("t/began", value, qos=1)
    return value

def last(value: object, context) -> object:
    return value["answer"]

async def pair(firing: Firing, context) -> None:
    await context.publish("t/pair", "both", qos=1)
"""
WORK, SINK, PAIR = AgentPath("home/work"), AgentPath("home/sink"), AgentPath("home/pair")
STEPS_OF = (AgentPath("home/plan/step"), AgentPath("home/near/step"))
"""Steps that move, of flows that do not: one of another host, one of the first choice of both."""
_ENTRY = "outbox\x1fhome/sink.seen" + ENTRY_MARK
"""How the keys of what waits to be delivered begin."""
SPEED = 8.0
"""How fast the hosts' time goes."""


class Site:
    """Hosts on a bus in memory, each with a store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.memory = MemoryBus()
        self.bus = Bus(lambda settings: MemoryTransport(self.memory, settings), folder)
        (folder / "matrix.yaml").write_text(MATRIX)
        (folder / "steps.py").write_text(STEPS)
        self._stack = AsyncExitStack()
        self._lives: dict[FailoverHost, AsyncExitStack] = {}

    async def __aenter__(self) -> Ear:
        return await self._stack.enter_async_context(self.bus.ear())

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    async def come(self, name: str) -> FailoverHost:
        """A host begins, with what its store holds; it runs until it is killed, or all is over."""
        host, life = self._make(name), await self._stack.enter_async_context(AsyncExitStack())
        self._lives[host] = life
        await life.enter_async_context(host.running())
        return host

    def _make(self, name: str) -> FailoverHost:
        units = {path: LeasedUnit(path, ("a", "b"), definition="1") for path in (WORK, SINK, PAIR, *STEPS_OF)}
        return FailoverHost(
            name,
            lambda settings: MemoryTransport(self.memory, settings),
            self.folder,
            units=units,
            apart={"home/sender": "c", "home/told": "c", "home/plan": "c", "home/near": "a"},
            clock=PlayClock(SPEED, SystemClock().wall_us()),
            store=True,
        )

    async def kill(self, host: FailoverHost) -> None:
        """As a kill -9 does: what is in the store at this moment is all that is left."""
        self.memory.isolate(host.client_id)
        image = self.folder / f"{host.name}.image"
        with closing(sqlite3.connect(self.folder / f"{host.name}.sqlite")) as store, closing(sqlite3.connect(image)) as copy:
            store.backup(copy)
        await self._lives[host].aclose()
        for old in self.folder.glob(f"{host.name}.sqlite*"):
            old.unlink()
        image.rename(self.folder / f"{host.name}.sqlite")
        self.memory.restore(host.client_id)

    def stored(self, host: FailoverHost, text: str) -> int:
        """How many keys of its store have a text in them."""
        assert host.store is not None
        return sum(text in key for key in host.store.load())


@pytest.fixture
def site(tmp_path: Path) -> OnSite:
    def run(test: Callable[[Site, Ear], Awaitable[None]]) -> None:
        async def main() -> None:
            made = Site(tmp_path)
            async with asyncio.timeout(60), made as ear:
                await test(made, ear)

        asyncio.run(main())

    return run


OnSite = Callable[[Callable[[Site, Ear], Awaitable[None]]], None]


async def _asked(made: Site, host: FailoverHost, ear: Ear) -> None:
    """Wait until a run of the flow has asked, and that is stored."""
    ear.say("t/go", 7)
    await ear.until(lambda: bool(ear.on("em/out/home/work/oracle/ask")))
    await until(lambda: made.stored(host, "home/work/oracle") > 0)


def _travels(host: FailoverHost, ear: Ear) -> bool:
    """Whether what the sink has taken is in the newest snapshot."""
    told = ear.on("em/state/home/sink/_snapshot")
    assert host.host._courier is not None
    return bool(told) and read_snapshot(told[-1]).cursors.get(SINK) == host.host._courier.cursors(SINK)


def _letters(observations: list[Observation]) -> list[DeadLettered]:
    return [seen for seen in observations if isinstance(seen, DeadLettered)]


def test_a_run_goes_on_when_its_host_was_killed_and_has_it_again(site: OnSite) -> None:
    async def test(made: Site, ear: Ear) -> None:
        await made.come("c")
        a = await made.come("a")
        await until(lambda: a.has(WORK))
        await _asked(made, a, ear)
        await made.kill(a)
        a = await made.come("a")
        assert made.stored(a, "home/work/oracle") > 0
        await until(lambda: a.has(WORK))
        ear.say("t/answer", "yes")
        await ear.until(lambda: bool(ear.on("t/done")))
        assert (ear.on("t/began"), ear.on("t/done")) == ([7], ["yes"])
        assert len({event["id"] for event in ear.on("em/out/home/work/oracle/ask")}) == 1
        assert _letters(a.observations) == []
        await until(lambda: made.stored(a, "run\x1ehome/work") == 0)

    site(test)


@pytest.mark.parametrize("flow", ["plan", "near"], ids=["on another host", "on the same host"])
def test_whoever_called_for_it_gets_its_answer_after_the_kill(site: OnSite, flow: str) -> None:
    step = AgentPath(f"home/{flow}/step")

    async def test(made: Site, ear: Ear) -> None:
        await made.come("c")
        a = await made.come("a")
        await until(lambda: a.has(step))
        ear.say(f"t/{flow}", 1)
        await ear.until(lambda: bool(ear.on(f"em/out/{step}/ask")))
        await until(lambda: made.stored(a, f"run\x1e{step}") > 0)
        await made.kill(a)
        a = await made.come("a")
        await until(lambda: a.has(step))
        ear.say(f"t/answer/{flow}", "yes")
        await ear.until(lambda: bool(ear.on("t/planned")))
        assert [answer["answer"] for answer in ear.on("t/planned")] == ["yes"]
        assert _letters(a.observations) == []

    site(test)


@pytest.mark.parametrize("flow", ["plan", "near"], ids=["on another host", "on the same host"])
def test_whoever_called_for_it_hears_that_another_host_has_it(site: OnSite, flow: str) -> None:
    step = AgentPath(f"home/{flow}/step")

    async def test(made: Site, ear: Ear) -> None:
        c = await made.come("c")
        a = await made.come("a")
        await until(lambda: a.has(step))
        ear.say(f"t/{flow}", 1)
        await ear.until(lambda: bool(ear.on(f"em/out/{step}/ask")))
        await until(lambda: made.stored(a, f"run\x1e{step}") > 0)
        await made.kill(a)
        b = await made.come("b")
        await until(lambda: b.has(step))
        a = await made.come("a")
        caller = c if flow == "plan" else a
        await until(lambda: any(found.path == f"home/{flow}" for found in _letters(caller.observations)), 10)
        assert any("b has it now" in found.reason for found in _letters(caller.observations))
        await until(lambda: made.stored(a, f"\x1e{step}") == 0)

    site(test)


def test_an_input_that_waits_for_another_waits_on_after_the_kill(site: OnSite) -> None:
    async def test(made: Site, ear: Ear) -> None:
        a = await made.come("a")
        await until(lambda: a.has(PAIR))
        event = {"specversion": "1.0", "source": "/home/told", "runid": "r1", "data": 1}
        ear.say("em/in/home/pair/x", event | {"id": "1", "type": "em.in.x"})
        await until(lambda: made.stored(a, "inputs\x1ehome/pair") > 0)
        await made.kill(a)
        a = await made.come("a")
        await until(lambda: a.has(PAIR))
        ear.say("em/in/home/pair/y", event | {"id": "2", "type": "em.in.y"})
        await ear.until(lambda: ear.on("t/pair") == ["both"])
        assert _letters(a.observations) == []

    site(test)


def test_it_does_not_go_on_where_another_host_has_it_and_is_told(site: OnSite) -> None:
    async def test(made: Site, ear: Ear) -> None:
        await made.come("c")
        a = await made.come("a")
        await until(lambda: a.has(WORK))
        await _asked(made, a, ear)
        await made.kill(a)
        b = await made.come("b")
        await until(lambda: b.has(WORK))
        a = await made.come("a")
        await until(lambda: bool(_letters(a.observations)))
        assert [(found.path, "b has it now" in found.reason) for found in _letters(a.observations)] == [(WORK, True)]
        await until(lambda: made.stored(a, "run\x1ehome/work") == 0)
        assert not a.has(WORK)
        ear.say("t/go", 8)
        await ear.until(lambda: 8 in ear.on("t/began"))
        assert ear.on("t/began") == [7, 8]

    site(test)


def test_what_is_sent_while_it_moves_is_taken_once(site: OnSite) -> None:
    async def test(made: Site, ear: Ear) -> None:
        await made.come("c")
        a = await made.come("a")
        await until(lambda: a.has(SINK))
        for value in (1, 2):
            ear.say("t/in", value)
        await ear.until(lambda: ear.on("t/seen") == [1, 2])
        await ear.until(lambda: _travels(a, ear))
        b = await made.come("b")
        await made.kill(a)
        for value in (3, 4):
            ear.say("t/in", value)
        await until(lambda: b.has(SINK))
        assert not a.has(SINK)
        ear.say("t/in", 5)
        await ear.until(lambda: 5 in ear.on("t/seen"))
        assert ear.on("t/seen") == [1, 2, 3, 4, 5]
        events = ear.on("em/out/home/sink/seen")
        first, later = ({event["edgeepoch"] for event in events if event["data"] in part} for part in ((1, 2), (3, 4, 5)))
        assert max(first) < min(later)

    site(test)


def test_what_a_former_holder_had_committed_is_delivered_when_it_is_back(site: OnSite) -> None:
    async def test(made: Site, ear: Ear) -> None:
        c = await made.come("c")
        a = await made.come("a")
        await until(lambda: a.has(SINK))
        ear.say("t/in", 1)
        await ear.until(lambda: ear.on("t/seen") == [1])
        await ear.until(lambda: _travels(a, ear))
        await until(lambda: made.stored(a, _ENTRY) == made.stored(c, f"outbox\x1fhome/sender>home/sink.set{ENTRY_MARK}") == 0)
        await made.kill(c)  # who reads it is away
        ear.say("t/bare", 2)
        await until(lambda: made.stored(a, _ENTRY) == 1)
        await made.kill(a)
        b = await made.come("b")
        await until(lambda: b.has(SINK))
        c = await made.come("c")
        await made.come("a")
        await until(lambda: c.host.session.is_linked)
        ear.say("t/in", 3)
        await ear.until(lambda: {2, 3} <= set(ear.on("t/seen")))
        assert sorted(ear.on("t/seen")) == [1, 2, 3]

    site(test)
