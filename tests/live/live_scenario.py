"""A scenario on a real broker: a real host in steps of a clock that the test sets, inputs by a real client, outputs by a real subscriber.

Nothing waits for time to pass. After each step a fence goes through the broker: a message that follows all others on the same
connection, so that whoever hears it has heard them too.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from edgematrix.config.build import build
from edgematrix.config.surroundings import Surroundings
from edgematrix.protocol.codec import as_read, decode
from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.message import Message, Publication
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.router import Router
from edgematrix.protocol.topic import Kind
from edgematrix.runtime.engine import Hits
from edgematrix.runtime.herald import offline_will
from edgematrix.runtime.host import Host
from edgematrix.runtime.ids import id_maker
from edgematrix.runtime.observation import Observation, Published, Received
from edgematrix.runtime.sqlite_store import SqliteStore
from edgematrix.runtime.workshop import Workshop
from edgematrix.testing.clock import VirtualClock
from edgematrix.testing.comparison import Comparison, compare
from edgematrix.testing.recording import Recorded
from edgematrix.testing.scenario import Scenario
from edgematrix.testing.simulator import Restart, Seen
from edgematrix.transport.endpoint import Endpoint
from edgematrix.transport.paho import PahoTransport
from edgematrix.transport.settings import Settings

WAIT_S = 60.0
RETAINED_S = 1.0
"""How long what is retained may take after a subscription: nats-server sends it when it comes to it."""
RETAINED_TRIES = 3
HOST = "pi"
FENCE = "live/fence"


@dataclass(frozen=True)
class Wanted:
    """An expectation as a subscriber sees it: a text that spells JSON is that JSON; whether it is retained is not seen."""

    at: int
    topic: str
    payload: object
    qos: int | None
    retain: bool | None = None


class World:
    """Everything on the bus that is no host: the devices that speak, and one who hears all."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.transport = PahoTransport(endpoint, Settings(client_id="world", close_timeout_s=1))
        self.heard: list[tuple[str, bytes, int]] = []
        self.fences: set[str] = set()
        self.births: set[str] = set()
        self._own: Counter[tuple[str, bytes]] = Counter()
        self._news = asyncio.Event()

    def received(self, topic: str, payload: bytes, qos: int, retained: bool) -> None:
        if topic == FENCE:
            self.fences.add(payload.decode())
        elif self._own[topic, payload]:
            self._own[topic, payload] -= 1
        elif not retained:
            self.heard.append((topic, payload, qos))
            if topic.endswith(f"/{Kind.HOST}/{HOST}"):
                self.births.add(str(decode(topic, payload).value["session"]))  # type: ignore[index]
        self._news.set()

    def connected(self, session_present: bool) -> None:
        self._news.set()

    def disconnected(self, reason: str) -> None:
        raise AssertionError(reason)

    def refused(self, topic_filter: str, reason: str) -> None:
        raise AssertionError(reason)

    def dropped(self, topic: str, reason: str) -> None:
        raise AssertionError(f"{topic}: {reason}")

    def confirmed(self, number: int) -> None: ...

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not holds():
                self._news.clear()
                await self._news.wait()

    async def say(self, topic: str, payload: bytes, qos: int, *, retain: bool = False) -> None:
        """Publish, and wait until the broker has handed it to all who listen."""
        self._own[topic, payload] += 1
        self.transport.publish(Publication(topic, payload, qos, retain))
        await self.until(lambda: not self._own[topic, payload])


class Fence:
    """Hears fences inside the host, after all that came before them."""

    agent = AgentPath("live")

    def __init__(self) -> None:
        self.heard: set[str] = set()
        self._news = asyncio.Event()

    def receive(self, message: Message, hits: Hits, now_us: int) -> None:
        self.heard.add(str(message.value))
        self._news.set()

    async def until(self, name: str) -> None:
        async with asyncio.timeout(WAIT_S):
            while name not in self.heard:
                self._news.clear()
                await self._news.wait()


class WatchedStore(SqliteStore):
    """Tells when something has been stored."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.saved = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def save(self, changed, *, is_safe=False) -> None:
        super().save(changed, is_safe=is_safe)
        self._loop.call_soon_threadsafe(self.saved.set)


class MortalHost(Host):
    """A host that can be killed: no farewell, nothing written, the connection cut."""

    killed = False

    async def _close(self, link: asyncio.Task[None]) -> None:
        if not self.killed:
            await super()._close(link)
            return
        for timer in (self._clock_timer, self._keeper._timer if self._keeper else None):
            if timer is not None:
                timer.cancel()
        self._alarm.set(None)
        link.cancel()
        with suppress(asyncio.CancelledError):
            await link


class LiveScenario:
    """One scenario, played once."""

    def __init__(self, scenario: Scenario, url: str, folder: Path) -> None:
        self._scenario = scenario
        self._endpoint = Endpoint.parse(url)
        self._folder = folder
        self._clock = VirtualClock(scenario.start_us)
        self._new_id = id_maker(0)
        self._seen: list[Seen] = []
        self._fence_count = 0
        self._published = 0
        self._retained: Counter[str] = Counter()
        """What the host has heard of that was retained, by topic."""

    async def run(self) -> Comparison:
        async with self._world() as world:
            self._outside = world
            await self._begin()
            try:
                await self._play()
            finally:
                self._host.stop()
                await asyncio.wait({self._running})
                self._store.close()
            await self._sweep()
        wanted = [Wanted(item.at, item.topic, as_read(item.payload), item.qos) for item in self._scenario.spec.expect]
        return in_order_per_topic(wanted, self._seen)

    async def _play(self) -> None:
        scenario = self._scenario
        kills = list(scenario.restarts())
        down_until_us = self._clock.now_us()
        for recorded in scenario.inputs():
            at_us = scenario.start_us + recorded.at_us
            while kills and scenario.start_us + kills[0].at_us <= at_us:
                down_until_us = await self._die(kills.pop(0), at_us)
            if at_us < down_until_us:
                await self._speak_to_nobody(recorded)
                continue
            if self._host.killed:
                await self._rise(down_until_us)
            await self._advance(at_us)
            await self._speak(recorded)
        end_us = scenario.start_us + scenario.spec.until
        while kills:
            down_until_us = await self._die(kills.pop(0), end_us)
        if self._host.killed and down_until_us <= end_us:
            await self._rise(down_until_us)
        if not self._host.killed:
            await self._advance(end_us)

    # The host

    async def _begin(self) -> None:
        spec = self._scenario.opened.spec
        clock = self._clock
        around = Surroundings(
            clock=clock,
            new_id=self._new_id,
            workshop=lambda limits, told: Workshop(clock, limits, told),
            loader=self._scenario.opened.loader,
        )
        assembly = build(spec, around)
        self._filters = {name: qos for name, qos in assembly.filters.items() if not name.startswith(f"{spec.root}/")}
        self._fence = Fence()
        assembly.engine.listen(TopicFilter.parse(FENCE), self._fence)
        assembly.engine.observers.append(self._count)
        session = self._new_id(clock.wall_us())
        settings = Settings(
            client_id=f"live-{HOST}",
            will=offline_will(spec.root, HOST, session),
            session_expiry_s=3600 if assembly.session_durable else 0,
            close_timeout_s=1,
        )
        self._store = WatchedStore(self._folder / "states.sqlite")
        self._transport = PahoTransport(self._endpoint, settings)
        self._host = MortalHost(assembly, self._transport, clock, name=HOST, session=session, store=self._store, changed=lambda _: None)
        self._transport.subscribe({FENCE: 1})
        self._running = asyncio.create_task(self._host.run())
        await self._outside.until(lambda: session in self._outside.births)
        await self._settle()

    def _count(self, observation: Observation) -> None:
        self._published += type(observation) is Published
        if isinstance(observation, Received) and observation.retained:
            self._retained[observation.topic] += 1

    async def _advance(self, to_us: int) -> None:
        """Do all that is due up to `to_us`, each thing at its own moment."""
        while (due_us := self._host.engine.deadline_us) is not None and due_us <= to_us:
            self._clock.set(due_us)
            self._host._ring()
            await self._settle()
        self._clock.set(to_us)

    async def _die(self, kill: Restart, before_us: int) -> int:
        """Run up to the kill, not at its moment; returns when the host is to be up again."""
        at_us = self._scenario.start_us + kill.at_us
        if self._host.killed:
            await self._rise(at_us - 1)
        await self._advance(max(at_us - 1, self._clock.now_us()))
        await self._written()
        self._host.killed = True
        self._host.stop()
        await asyncio.wait({self._running})
        self._store.close()
        up_us = at_us + kill.down_us
        if up_us <= before_us:
            await self._rise(up_us)
        return up_us

    async def _rise(self, at_us: int) -> None:
        self._clock.set(at_us)
        await self._begin()

    async def _written(self) -> None:
        """The 100 ms within which states are written have passed."""
        host, keeper = self._host, self._host._keeper
        assert keeper is not None
        async with asyncio.timeout(WAIT_S):
            while True:
                if keeper._writing is not None:
                    await asyncio.wait({keeper._writing})
                    await asyncio.sleep(0)  # its own callback comes next
                elif host.engine.touched or keeper._timer is not None:
                    self._store.saved.clear()
                    host.acted()
                    await self._store.saved.wait()
                else:
                    return

    # What is said and heard

    async def _speak(self, recorded: Recorded) -> None:
        if recorded.retain:
            await self._deliver_retained(recorded)
        else:
            await self._outside.say(recorded.topic, recorded.wire(), recorded.qos)
        await self._pass_fence(self._outside.transport)
        await self._settle()

    async def _speak_to_nobody(self, recorded: Recorded) -> None:
        """The host is down; only a durable session keeps it."""
        if not recorded.retain:
            self._clock.set(self._scenario.start_us + recorded.at_us)
            await self._outside.say(recorded.topic, recorded.wire(), recorded.qos)

    async def _deliver_retained(self, recorded: Recorded) -> None:
        """A broker sets the flag only on what answers a subscription: so the host subscribes anew, and all traces are swept."""
        before = self._retained[recorded.topic]
        await self._deaf(lambda: self._outside.say(recorded.topic, recorded.wire(), recorded.qos, retain=True))
        for _ in range(RETAINED_TRIES):  # nats-server stores it beside delivering it: it may not have been there yet
            with suppress(TimeoutError):
                async with asyncio.timeout(RETAINED_S):
                    while self._retained[recorded.topic] == before:  # noqa: ASYNC110 - it tells nobody
                        await asyncio.sleep(0.001)
            if self._retained[recorded.topic] > before:
                break
            await self._deaf(_nothing)
        await self._deaf(lambda: self._outside.say(recorded.topic, b"", 1, retain=True))

    async def _deaf(self, meanwhile) -> None:
        self._transport.unsubscribe(self._filters)
        await self._pass_fence(self._transport)
        await meanwhile()
        self._transport.subscribe(self._filters)
        await self._pass_fence(self._transport)

    async def _pass_fence(self, transport: PahoTransport) -> None:
        self._fence_count += 1
        name = f"fence {self._fence_count}"
        transport.publish(Publication(FENCE, name.encode(), 1))
        await self._fence.until(name)
        await self._outside.until(lambda: name in self._outside.fences)

    async def _settle(self) -> None:
        """Wait until all that follows at this instant has happened and was heard, what comes back through the broker included."""
        before = -1
        while before != self._published or self._is_behind:
            before = self._published
            await self._left()
            await self._pass_fence(self._transport)
        self._note()

    async def _left(self) -> None:
        """What is durable leaves once it is stored."""
        async with asyncio.timeout(WAIT_S):
            while self._is_behind:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.001)

    @property
    def _is_behind(self) -> bool:
        keeper, courier = self._host._keeper, self._host._courier
        assert keeper is not None
        assert courier is not None
        return keeper.is_behind or courier.lane.waiting > 0

    def _note(self) -> None:
        """What was heard since the last time was published at this instant."""
        watched = self._watched()
        heard, self._outside.heard = self._outside.heard, []
        for topic, payload, qos in heard:
            if watched(topic):
                self._seen.append(Seen(self._clock.now_us() - self._scenario.start_us, topic, decode(topic, payload).value, False, qos))

    def _watched(self) -> Callable[[str], bool]:
        spec = self._scenario.spec
        if not spec.watch:
            below = f"{self._scenario.opened.spec.root}/"
            return lambda topic: not topic.startswith(below)
        router: Router[bool] = Router()
        for text in spec.watch:
            router.add(TopicFilter.parse(text), listener=True)
        return lambda topic: bool(router.match(topic))

    @asynccontextmanager
    async def _world(self) -> AsyncIterator[World]:
        world = World(self._endpoint)
        world.transport.subscribe({"#": 1})
        running = asyncio.create_task(world.transport.run(world))
        world.transport.publish(Publication(FENCE, b"begun", 1))
        await world.until(lambda: "begun" in world.fences)
        try:
            yield world
        finally:
            await world.transport.close()
            await running

    async def _sweep(self) -> None:
        """Leave nothing that is retained to the next scenario."""
        spec = self._scenario.opened.spec
        paths = [f"{spec.root}/{Kind.STATE}/{path}" for path in self._host.assembly.agents]
        for topic in [*paths, f"{spec.root}/{Kind.HOST}/{HOST}", *{seen.topic for seen in self._seen}]:
            await self._outside.say(topic, b"", 1, retain=True)


async def _nothing() -> None: ...


def in_order_per_topic(wanted: Iterable[Wanted], seen: Iterable[Seen]) -> Comparison:
    """What goes to different topics at one moment has no order that a bus promises: it is put in that of the topics."""
    return compare(
        sorted(wanted, key=lambda item: (item.at, item.topic)),
        sorted(seen, key=lambda item: (item.at_us, item.topic)),
    )
