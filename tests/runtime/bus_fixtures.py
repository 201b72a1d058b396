"""A bus for tests of a host: in memory, or a real broker. The same tests run on both."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from edgematrix.config.build import build
from edgematrix.config.live import LiveTopology
from edgematrix.config.live_record import LiveRecord, restore
from edgematrix.config.opening import open_matrix
from edgematrix.config.places import EVERYTHING_HERE, Places
from edgematrix.config.signing import Signing
from edgematrix.config.surroundings import Surroundings
from edgematrix.protocol.message import Publication
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.ports import Clock, Transport
from edgematrix.runtime.broker import EmbeddedBroker
from edgematrix.runtime.clock import SystemClock
from edgematrix.runtime.herald import offline_will
from edgematrix.runtime.host import Host
from edgematrix.runtime.ids import id_maker
from edgematrix.runtime.keeper import PART_SEPARATOR
from edgematrix.runtime.model_thinkers import Thinkers
from edgematrix.runtime.observation import Observation
from edgematrix.runtime.scorer import Scorers
from edgematrix.runtime.sqlite_store import SqliteStore
from edgematrix.runtime.voice_desk import VoiceDesks
from edgematrix.runtime.workshop import Workshop
from edgematrix.transport.connection import Backoff
from edgematrix.transport.endpoint import Endpoint
from edgematrix.transport.memory import MemoryTransport
from edgematrix.transport.memory_bus import MemoryBus
from edgematrix.transport.paho import PahoTransport
from edgematrix.transport.settings import Settings

WAIT_S = 30.0
"""How long anything may take before a test gives up; no test waits for time to pass."""


class Ear:
    """A client that hears everything, and can wait for what it is to hear."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.heard: list[tuple[str, Any, bool]] = []
        self.online = asyncio.Event()
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def received(self, topic: str, payload: bytes, qos: int, retained: bool) -> None:
        try:
            value = json.loads(payload)
        except ValueError:
            try:
                value = payload.decode()
            except UnicodeDecodeError:
                value = payload
        self.heard.append((topic, value, retained))
        self._tell()

    def connected(self, session_present: bool) -> None:
        self.online.set()
        self._tell()

    def disconnected(self, reason: str) -> None:
        self.online.clear()

    def refused(self, topic_filter: str, reason: str) -> None: ...

    def dropped(self, topic: str, reason: str) -> None: ...

    def confirmed(self, number: int) -> None: ...

    def on(self, topic: str) -> list[Any]:
        return [value for heard, value, _ in self.heard if heard == topic]

    async def until(self, predicate: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S), self._changed:
            await self._changed.wait_for(predicate)

    def say(self, topic: str, value: object, *, qos: int = 1, retain: bool = False) -> None:
        payload = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.transport.publish(Publication(topic, payload, qos, retain))

    def _tell(self) -> None:
        async def tell() -> None:
            async with self._changed:
                self._changed.notify_all()

        task = asyncio.get_running_loop().create_task(tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Bus:
    """Where a test's hosts and ears meet."""

    def __init__(self, connect: Callable[[Settings], Transport], folder: Path) -> None:
        self._connect = connect
        self.folder = folder
        self.said: list[str] = []
        """What hosts told whoever started them."""
        self.models: list[Thinkers | Scorers | VoiceDesks] = []

    @asynccontextmanager
    async def ear(self, *filters: str, client_id: str = "ear") -> AsyncIterator[Ear]:
        """A client that is connected and subscribed."""
        transport = self._connect(Settings(client_id=client_id, close_timeout_s=1))
        ear = Ear(transport)
        transport.subscribe(dict.fromkeys(filters or ("#",), 1))
        running = asyncio.create_task(transport.run(ear))
        async with asyncio.timeout(WAIT_S):
            await ear.online.wait()
            ear.say("test/ready", client_id)
            await ear.until(lambda: client_id in ear.on("test/ready") or bool(filters))
        try:
            yield ear
        finally:
            await transport.close()
            await running

    def close(self) -> None:
        """End the models of its hosts."""
        for models in self.models:
            models.close()

    def thinkers(self, clock: Clock) -> Thinkers:
        """The language models of a host; what is made of them ends with the bus."""
        thinkers = Thinkers(clock, self.folder)
        self.models.append(thinkers)
        return thinkers

    def scorers(self, clock: Clock) -> Scorers:
        """The models over windows of a host."""
        scorers = Scorers(clock, is_quick=True)
        self.models.append(scorers)
        return scorers

    def voices(self, clock: Clock) -> VoiceDesks:
        """What listens for a host."""
        voices = VoiceDesks(clock)
        self.models.append(voices)
        return voices

    def make(
        self,
        matrix: str,
        *,
        name: str = "pi",
        store: bool = False,
        clock: Clock | None = None,
        hosts: Mapping[AgentPath, str] | None = None,
    ) -> tuple[Host, list[Observation]]:
        """A host that is built and not yet running. `hosts` has the host of each agent; None: all run here."""
        file = self.folder / f"{name}.yaml"
        file.write_text(matrix)
        opened = open_matrix(file)
        clock, new_id = clock or SystemClock(), id_maker()
        places = EVERYTHING_HERE if hosts is None else Places(name, hosts)
        workshop = lambda limits, told: Workshop(clock, limits, told)  # noqa: E731 - it belongs to these surroundings
        around = Surroundings(
            clock=clock,
            new_id=new_id,
            workshop=workshop,
            loader=opened.loader,
            places=places,
            thinker=self.thinkers(clock),
            scorer=self.scorers(clock),
            voices=self.voices(clock),
        )
        kept = SqliteStore(self.folder / f"{name}.sqlite") if store else None
        restored = restore(opened.spec, None if kept is None else kept.read(LiveRecord.STORE_KEY + PART_SEPARATOR))
        assembly = build(restored.spec, around)
        topology = LiveTopology(assembly, around, lambda: opened.spec, restored)
        observations: list[Observation] = []
        assembly.engine.observers.append(observations.append)
        session = new_id(clock.wall_us())
        root = opened.spec.root
        settings = Settings(
            client_id=f"{root}-{name}",
            will=offline_will(root, name, session),
            not_ours=frozenset({f"{root}/in/{opened.spec.matrix}/#"}),
            backoff=Backoff(0.01, 0.1),
            close_timeout_s=1,
        )
        transport = self._connect(settings)
        keys = self.folder / "keys" / name
        signing = Signing(keys, transport, restored.spec, clock, name) if keys.exists() else None
        bus: Transport = transport if signing is None else signing.transport
        host = Host(assembly, bus, clock, name=name, session=session, store=kept, topology=topology, changed=self.said.append)
        if signing is not None:
            signing.guard(host)
            topology.trusting, topology.trusted = signing.trusting, host.trust
        self.said += [restored.warning] if restored.warning else []
        return host, observations

    @asynccontextmanager
    async def host(
        self, matrix: str, *, name: str = "pi", store: bool = False, hosts: Mapping[AgentPath, str] | None = None
    ) -> AsyncIterator[tuple[Host, list[Observation]]]:
        """A host that runs, and is announced."""
        host, observations = self.make(matrix, name=name, store=store, hosts=hosts)
        async with self.ear(f"+/host/{name}", f"+/+/host/{name}", client_id=f"midwife-{name}") as midwife:
            running = asyncio.create_task(host.run())
            await midwife.until(
                lambda: any(value.get("session") == host.session.id for _, value, _ in midwife.heard if isinstance(value, dict))
            )
            try:
                yield host, observations
            finally:
                host.stop()
                async with asyncio.timeout(WAIT_S):
                    await running


@asynccontextmanager
async def open_bus(kind: str, folder: Path) -> AsyncIterator[Bus]:
    """A bus of that kind: `memory`, `mosquitto` or `nats`."""
    if kind == "memory":
        memory = MemoryBus()
        with closing(Bus(lambda settings: MemoryTransport(memory, settings), folder)) as bus:
            yield bus
        return
    async with EmbeddedBroker(folder / "broker", kind=kind, port=20_883) as broker:
        endpoint = Endpoint.parse(broker.url)
        with closing(Bus(lambda settings: PahoTransport(endpoint, settings), folder)) as bus:
            yield bus


KINDS = [
    "memory",
    pytest.param("mosquitto", marks=pytest.mark.skipif(shutil.which("mosquitto") is None, reason="mosquitto is not installed")),
]
"""The buses that a test is run on."""

OnBus = Callable[[Callable[[Bus], Awaitable[None]]], None]
"""Runs a test on a bus: in memory, and on a real broker."""
