"""The chain in one process: its hosts on a bus in memory, each with a disk that a test has in its hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from edgematrix.config.build import build
from edgematrix.config.on_demand import workshop_maker
from edgematrix.config.opening import open_matrix
from edgematrix.config.places import Places
from edgematrix.config.surroundings import Surroundings
from edgematrix.errors import StateError
from edgematrix.protocol.message import Publication
from edgematrix.protocol.ports import Link
from edgematrix.runtime.clock import SystemClock
from edgematrix.runtime.herald import offline_will
from edgematrix.runtime.host import Host
from edgematrix.runtime.ids import id_maker
from edgematrix.transport.connection import Backoff
from edgematrix.transport.memory import MemoryTransport
from edgematrix.transport.memory_bus import MemoryBus
from edgematrix.transport.settings import Settings
from tests.chaos.places import places_of

__all__ = ["Disk", "World"]

_TURN_S = 0.005


class Disk:
    """What outlives the lives of one host. A `Store`.

    Args:
        judge: called before each write, and again after it with True; what it raises is what the write raises.
    """

    def __init__(self, judge: Callable[[Disk, bool], None] = lambda disk, is_done: None) -> None:
        self.parts: dict[str, bytes] = {}
        self.writes = 0
        self.is_dead = False
        """Whether the host has crashed on it: nothing is written until it is started again."""
        self._judge = judge

    def load(self) -> dict[str, bytes]:
        return dict(self.parts)

    def save(self, changed: Mapping[str, bytes | None], *, is_safe: bool = False) -> None:
        if self.is_dead:
            raise StateError("the host is dead")
        self.writes += 1
        self._judge(self, False)
        for key, data in changed.items():
            if data is None:
                self.parts.pop(key, None)
            else:
                self.parts[key] = data
        self._judge(self, True)

    def crash(self) -> None:
        """The host dies at this very moment."""
        self.is_dead = True
        raise StateError("the host is dead")


class _Mortal(MemoryTransport):
    """A connection of a host that may be dead: then nothing leaves any more, and nothing comes in."""

    def __init__(self, bus: MemoryBus, settings: Settings, disk: Disk) -> None:
        super().__init__(bus, settings)
        self._disk = disk
        self.task: asyncio.Task[None] | None = None

    async def run(self, link: Link) -> None:
        self.task = asyncio.current_task()
        await super().run(link)

    def publish(self, publication: Publication) -> None:
        if not self._disk.is_dead:
            super().publish(publication)

    def acknowledge(self, receipt: int) -> None:
        if not self._disk.is_dead:
            super().acknowledge(receipt)

    def deliver(self, publication: Publication, retained: bool, packet_id: int) -> None:
        if not self._disk.is_dead:
            super().deliver(publication, retained, packet_id)


class World:
    """Hosts, the bus, and a client of the test's own. A host that dies is started again at once.

    Args:
        disks: of each host, by name.
    """

    def __init__(self, matrix: Path, disks: Mapping[str, Disk], *, seed: int = 0) -> None:
        self.bus = MemoryBus(seed=seed)
        self.disks = disks
        self.deaths = 0
        self.said: list[str] = []
        """What hosts told whoever started them."""
        self.transport = MemoryTransport(self.bus, Settings(client_id="harness", backoff=Backoff(0.01, 0.1)))
        """The test's own connection."""
        self.hosts: dict[str, Host] = {}
        """Those that live."""
        self._matrix = matrix

    async def run(self, link: Link, until: Callable[[], bool], timeout_s: float) -> None:
        """Go on until that holds, or it takes too long, which is told by what has come by then.

        Args:
            link: what hears the test's own connection.
        """
        tasks = [asyncio.create_task(self._live(name)) for name in self.disks]
        tasks.append(asyncio.create_task(self.transport.run(link)))
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    while not until():
                        for task in tasks:
                            if task.done():
                                task.result()
                        await asyncio.sleep(_TURN_S)
        finally:
            for disk in self.disks.values():
                disk.is_dead = True
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _live(self, name: str) -> None:
        """The lives of one host."""
        disk = self.disks[name]
        while True:
            host, transport = self._make(name)
            self.hosts[name] = host
            life = asyncio.create_task(host.run())
            try:
                while not disk.is_dead:
                    if life.done():
                        life.result()
                    await asyncio.sleep(_TURN_S)
            finally:
                await _bury(life, host, transport)
            self.deaths += 1
            disk.is_dead = False

    def _make(self, name: str) -> tuple[Host, _Mortal]:
        opened = open_matrix(self._matrix)
        clock, new_id = SystemClock(), id_maker()
        places = Places(here=name, hosts=places_of(opened.spec))
        around = Surroundings(clock=clock, new_id=new_id, workshop=workshop_maker(clock), loader=opened.loader, places=places)
        assembly = build(opened.spec, around)
        session = new_id(clock.wall_us())
        settings = Settings(
            client_id=f"em-chaos-{name}",
            will=offline_will("em", name, session),
            session_expiry_s=86_400,
            acks_held=True,
            not_ours=frozenset({"em/in/chaos/#"}),
            backoff=Backoff(0.01, 0.1),
        )
        transport = _Mortal(self.bus, settings, self.disks[name])
        host = Host(assembly, transport, clock, name=name, session=session, store=self.disks[name], changed=self.said.append)
        return host, transport


async def _bury(life: asyncio.Task[None], host: Host, transport: _Mortal) -> None:
    """End what a dead host still does; it does not write, nor say farewell."""
    for task in (life, transport.task):
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError, StateError):
                await task
    keeper = host._keeper
    assert keeper is not None
    keeper._cancel_timer()
