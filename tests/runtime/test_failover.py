"""Agents that move to another host when theirs is gone: in memory and on a real broker."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from blackhole import Blackhole, Mode
from broker_process import BrokerProcess
from bus_fixtures import Bus, Ear
from failover_hosts import FailoverHost, until

from edgematrix.hosting.leased import LeasedUnit
from edgematrix.protocol.message import Publication
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.ports import Transport
from edgematrix.runtime.clock import PlayClock, SystemClock
from edgematrix.runtime.observation import DeadLettered, Dropped
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
LATE_S = 3.0
"""How late a busy machine may be, in real time."""


def unit(path: str = "home/guard", **more: object) -> LeasedUnit:
    return LeasedUnit(AgentPath(path), ("a", "b"), definition="1", **more)  # type: ignore[arg-type]


class Site:
    """A broker, and hosts that are started, cut off and killed. `speed` is how fast their time goes."""

    def __init__(
        self, folder: Path, connect: Callable[[Settings], Transport], cut: Callable[[FailoverHost], None], speed: float = 1.0
    ) -> None:
        self.folder = folder
        self.speed = speed
        self.memory = MemoryBus()
        """The bus, where it is one in memory."""
        self.connect = connect
        self.cut = cut
        self.bus = Bus(connect, folder)
        self._stack = AsyncExitStack()
        (folder / "matrix.yaml").write_text(HOME)

    async def __aenter__(self) -> Ear:
        return await self._stack.enter_async_context(self.bus.ear())

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    async def begin(self, *hosts: FailoverHost) -> None:
        """They run until all is over."""
        for host in hosts:
            await self._stack.enter_async_context(host.running())

    def make(self, name: str, *units: LeasedUnit, connect: Callable[[Settings], Transport] | None = None, **more: object) -> FailoverHost:
        if self.speed != 1.0:
            more.setdefault("clock", PlayClock(self.speed, SystemClock().wall_us()))
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
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Callable[[Site, Ear], Awaitable[None]]], None]:
    def run(test: Callable[[Site, Ear], Awaitable[None]]) -> None:
        async def main() -> None:
            if request.param == "memory":
                bus = MemoryBus()
                made = Site(tmp_path, lambda settings: MemoryTransport(bus, settings), lambda host: bus.isolate(host.client_id), 8.0)
            else:
                broker: BrokerProcess = request.getfixturevalue("own_broker")("mosquitto")
                broker.start()
                endpoint = Endpoint.parse(broker.url)
                made = Site(tmp_path, lambda settings: PahoTransport(endpoint, settings), _abort)
            async with asyncio.timeout(60), made as ear:
                await test(made, ear)

        asyncio.run(main())

    return run


def _abort(host: FailoverHost) -> None:
    """As a kill -9 does: the connection is gone, and the broker says the will; the host cannot connect again."""
    transport = host.transport
    assert isinstance(transport, PahoTransport)
    transport._endpoint = Endpoint.parse("mqtt://127.0.0.1:1")
    transport.sever("the test has cut it off")


OnSite = Callable[[Callable[[Site, Ear], Awaitable[None]]], None]


def test_the_first_choice_runs_it_and_the_next_one_takes_over_with_its_state(site: OnSite) -> None:
    async def test(made: Site, ear: Ear) -> None:
        a, b = made.make("a"), made.make("b")
        await made.begin(a, b)
        took_s = await until(lambda: a.has(GUARD))
        assert (took_s - LATE_S) * made.speed < 6
        assert not b.has(GUARD)
        ear.say("t/in", 1)
        ear.say("t/in", 2)
        await ear.until(lambda: ear.on("t/each") == [1, 2])
        await ear.until(lambda: _counted(ear) >= 1)  # the snapshot with both has been published
        made.cut(a)
        took_s = await until(lambda: b.has(GUARD))
        assert (took_s - LATE_S) * made.speed < 5
        ear.say("t/in", 3)
        await ear.until(lambda: 3 in ear.on("t/each"))
        await ear.until(lambda: ear.on("t/third") == ["done"])  # two of three were counted on the other host
        assert ear.on("t/each") == [1, 2, 3]
        await until(lambda: not a.has(GUARD))
        print(f"after the will: {took_s * made.speed:.2f} s")

    site(test)


def _counted(ear: Ear) -> int:
    return len(ear.on("em/state/home/guard/_snapshot"))


@pytest.fixture
def in_memory(tmp_path: Path) -> OnSite:
    """A bus in memory, and hosts whose time goes eight times as fast."""

    def run(test: Callable[[Site, Ear], Awaitable[None]]) -> None:
        async def main() -> None:
            bus = MemoryBus()
            made = Site(tmp_path, lambda settings: MemoryTransport(bus, settings), lambda host: bus.isolate(host.client_id), 8.0)
            made.memory = bus
            async with asyncio.timeout(60), made as ear:
                await test(made, ear)

        asyncio.run(main())

    return run


def test_a_holder_that_is_cut_off_by_a_hole_stops_and_nothing_of_it_comes_late(
    own_broker: Callable[..., BrokerProcess], tmp_path: Path
) -> None:
    async def main() -> None:
        broker = own_broker("mosquitto")
        broker.start()
        made = Site(tmp_path, lambda settings: PahoTransport(Endpoint.parse(broker.url), settings), _abort)
        async with asyncio.timeout(60), Blackhole(broker.port) as hole, made as ear:
            a = made.make("a", connect=lambda settings: PahoTransport(Endpoint.parse(hole.url), settings))
            b = made.make("b")
            await made.begin(a, b)
            await until(lambda: a.has(GUARD))
            ear.say("t/in", 0)
            await ear.until(lambda: ear.on("t/each") == [0])
            hole.set(Mode.BLACKHOLE)
            a.host.engine.publish(GUARD, "t/each", "into the hole", a.host.operations._now_us())  # what it does before it notices
            a.host.acted()
            took_s = await until(lambda: b.has(GUARD))
            print(f"after silence: {took_s:.2f} s")
            assert took_s - LATE_S < 7
            assert not a.has(GUARD)
            ear.say("t/in", 1)
            await ear.until(lambda: ear.on("t/each") == [0, 1])
            dropped = [seen for seen in a.observations if isinstance(seen, Dropped) and seen.topic == "t/each"]
            a.host.engine.publish(GUARD, "t/each", "too late", a.host.operations._now_us())
            a.host.acted()
            assert len([seen for seen in a.observations if isinstance(seen, Dropped) and seen.topic == "t/each"]) == len(dropped) + 1
            hole.set(Mode.FORWARD)
            await until(lambda: a.host.session.is_linked)
            await until(lambda: GUARD not in a.runs)
            for value in range(2, 12):
                ear.say("t/in", value)
            await ear.until(lambda: ear.on("t/each") == list(range(12)))  # each once, by whoever holds it, and nothing from the hole
            assert not any("into the hole" in str(value) or "too late" in str(value) for value in ear.on("t/each"))
            assert b.has(GUARD)

    asyncio.run(main())


def test_with_failback_the_first_choice_gets_it_back_with_the_newest_state(in_memory: OnSite) -> None:
    async def test(made: Site, ear: Ear) -> None:
        returning = unit(returns=True)
        a, b = made.make("a", returning), made.make("b", returning)
        await made.begin(b)
        await until(lambda: b.has(GUARD))
        await made.begin(a)
        await until(lambda: a.host.session.is_linked)
        for value in (1, 2):
            ear.say("t/in", value)  # just before it goes: the snapshot that is handed over has them
        took_s = await until(lambda: a.has(GUARD))
        assert took_s * made.speed > 9.5
        assert (took_s - LATE_S) * made.speed < 14
        assert "home/guard is not here any more: it is handed over to a" in b.told
        ear.say("t/in", 3)
        await ear.until(lambda: ear.on("t/third") == ["done"] and 3 in ear.on("t/each"))
        assert ear.on("t/each") == [1, 2, 3]

    in_memory(test)


def test_without_it_it_comes_back_when_somebody_wants_it(in_memory: OnSite) -> None:
    async def test(made: Site, ear: Ear) -> None:
        a, b = made.make("a"), made.make("b")
        await made.begin(b)
        await until(lambda: b.has(GUARD))
        await made.begin(a)
        await until(lambda: a.host.session.is_linked)
        await asyncio.sleep(12 / made.speed)  # longer than it takes where it comes back by itself
        assert b.has(GUARD)
        ear.say("em/op/me/failback/home/guard", _order())
        await until(lambda: a.has(GUARD))
        await ear.until(lambda: bool(ear.on("em/reply/b/me/s1")))
        assert ear.on("em/reply/b/me/s1")[0]["data"] == {"verb": "failback", "path": "home/guard", "done": True, "to": "a"}
        ear.say("em/op/me/failback/home/guard", _order())
        await ear.until(lambda: len(ear.on("em/reply/a/me/s1")) == len(ear.on("em/reply/b/me/s1")) == 2)
        refused = [ear.on(f"em/reply/{host}/me/s1")[-1]["data"]["refused"] for host in ("a", "b")]
        assert refused == ["home/guard: this host is the first choice", "home/guard: it is not on this host"]

    in_memory(test)


def _order() -> dict[str, object]:
    return {"specversion": "1.0", "id": "1", "source": "/home", "type": "em.op", "data": {"session": "s1"}}


def test_of_two_that_believe_to_have_it_one_stops_at_the_first_word(in_memory: OnSite) -> None:
    async def test(made: Site, ear: Ear) -> None:
        a = made.make("a")
        await made.begin(a)
        await until(lambda: a.has(GUARD))
        lease = ear.on("em/lease/home/guard")[-1]
        for number in range(1, 4):
            ear.say(
                "em/lease/home/guard",
                {**lease, "epoch": lease["epoch"] + 5, "holder": "z", "session": "z1", "beat": number},
                retain=True,
            )
        ear.say("t/in", 1)  # it comes after the other's word
        await until(lambda: GUARD not in a.runs)
        assert ear.on("t/each") == []
        assert any("z has it now" in said for said in a.told)

    in_memory(test)


def test_what_it_says_bears_its_epoch_and_what_a_former_holder_says_late_is_refused(in_memory: OnSite) -> None:
    async def test(made: Site, ear: Ear) -> None:
        sender = unit("home/sender")
        a, b = made.make("a", unit(), sender), made.make("b", unit(), sender)
        await made.begin(a, b)
        await until(lambda: a.has(GUARD) and a.has("home/sender"))
        ear.say("t/in", 1)
        await ear.until(lambda: ear.on("t/light") == [1] and bool(ear.on("em/out/home/guard/seen")))
        lease = ear.on("em/lease/home/guard")[-1]
        assert ear.on("em/out/home/guard/seen")[0]["edgeepoch"] == lease["epoch"]
        work = ear.on("em/in/home/light/set")[0]
        late = {**work, "id": "late", "data": "late", "edgeepoch": work["edgeepoch"] - 1}
        ear.say("em/in/home/light/set", late)
        ear.say("em/in/home/light/set", {**work, "id": "new", "data": "new"})
        await ear.until(lambda: "new" in ear.on("t/light"))
        assert ear.on("t/light") == [1, "new"]
        letters = [seen for seen in b.observations if isinstance(seen, DeadLettered)]
        assert "is on another host now" in letters[0].reason

    in_memory(test)


def test_what_it_puts_out_without_a_broker_is_dropped_and_never_sent_later(in_memory: OnSite) -> None:
    async def test(made: Site, ear: Ear) -> None:
        a = made.make("a")
        await made.begin(a)
        await until(lambda: a.has(GUARD))
        made.memory.isolate(a.client_id)
        assert not a.host.session.is_linked
        now_us = a.host.operations._now_us()  # type: ignore[union-attr]
        a.host.engine.publish(GUARD, "t/each", "alone", now_us, qos=1)
        a.host.acted()
        assert [seen.topic for seen in a.observations if isinstance(seen, Dropped)] == ["t/each"]
        made.memory.restore(a.client_id)
        await until(lambda: a.host.session.is_linked)
        ear.say("t/in", 1)
        await ear.until(lambda: ear.on("t/each") == [1])

    in_memory(test)


def test_a_host_whose_process_was_stopped_has_no_effects_when_it_wakes(in_memory: OnSite) -> None:
    class Sleeper(PlayClock):
        slept_us = 0

        def now_us(self) -> int:
            return super().now_us() + self.slept_us

    async def test(made: Site, ear: Ear) -> None:
        clock = Sleeper(made.speed, SystemClock().wall_us())
        a = made.make("a", clock=clock)
        await made.begin(a)
        await until(lambda: a.has(GUARD))
        clock.slept_us = 10_000_000
        a.host.session.received("t/in", b"1", 0, retained=False)  # it was in the socket's buffer all the while
        a.host.session.received("t/in", b"2", 0, retained=False)
        assert not a.has(GUARD)
        assert any("not confirmed for 10" in said for said in a.told)
        made.memory.publish(Publication("t/asked", b"1"))
        await ear.until(lambda: bool(ear.on("t/asked")))
        assert ear.on("t/each") == []

    in_memory(test)


@pytest.mark.parametrize("stops", [True, False], ids=["in good order", "cut off"])
def test_after_a_restart_it_goes_on_where_it_was(in_memory: OnSite, stops: bool) -> None:
    async def test(made: Site, ear: Ear) -> None:
        async with made.make("a", store=True).running() as a:
            await until(lambda: a.has(GUARD))
            for value in (1, 2):
                ear.say("t/in", value)
            await ear.until(lambda: ear.on("t/each") == [1, 2])
            if not stops:
                made.cut(a)
        made.memory.restore("em-a")
        async with made.make("a", store=True).running() as a:
            await until(lambda: a.has(GUARD))
            how = "goes on with its state" if stops else "with what this host had stored of it"
            assert any(how in said for said in a.told)  # a lease of its own, of an earlier life: nobody had it since
            ear.say("t/in", 3)
            await ear.until(lambda: ear.on("t/third") == ["done"])

    in_memory(test)


def test_a_state_of_another_definition_does_not_count(in_memory: OnSite) -> None:
    async def test(made: Site, ear: Ear) -> None:
        async with made.make("a").running() as a:
            await until(lambda: a.has(GUARD))
            for value in (1, 2):
                ear.say("t/in", value)
            await ear.until(lambda: ear.on("t/each") == [1, 2])
        other = LeasedUnit(GUARD, ("a", "b"), definition="2")
        async with made.make("b", other).running() as b:
            await until(lambda: b.has(GUARD))
            assert any("another definition" in said for said in b.told)
            for value in (3, 4):
                ear.say("t/in", value)
            await ear.until(lambda: ear.on("t/each") == [1, 2, 3, 4])
            assert ear.on("t/third") == []

    in_memory(test)
