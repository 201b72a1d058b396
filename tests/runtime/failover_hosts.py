"""Hosts that may have the same agents, on one bus, each with its own connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from access_guard import Guard, placed

from edgematrix.config.build import build
from edgematrix.config.live import LiveTopology
from edgematrix.config.opening import open_matrix
from edgematrix.config.places import Places
from edgematrix.config.signing import Signing
from edgematrix.config.surroundings import Surroundings
from edgematrix.hosting.leased import LeasedUnit
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.ports import Clock, Transport
from edgematrix.runtime.clock import SystemClock
from edgematrix.runtime.herald import offline_will
from edgematrix.runtime.host import Host
from edgematrix.runtime.ids import id_maker
from edgematrix.runtime.observation import Observation
from edgematrix.runtime.sqlite_store import SqliteStore
from edgematrix.runtime.topology import Prepared
from edgematrix.runtime.workshop import Workshop
from edgematrix.transport.connection import Backoff
from edgematrix.transport.settings import Settings

WAIT_S = 45.0
"""How long anything may take before a test gives up."""
HOSTS = ("a", "b")


class FailoverHost:
    """One host. What runs nowhere else than on it, `apart` says; all else is one unit of each name in `units`."""

    def __init__(
        self,
        name: str,
        connect: Callable[[Settings], Transport],
        folder: Path,
        *,
        units: Mapping[str, LeasedUnit],
        apart: Mapping[str, str],
        clock: Clock | None = None,
        store: bool = False,
    ) -> None:
        self.name = name
        self.told: list[str] = []
        self.observations: list[Observation] = []
        opened = open_matrix(folder / "matrix.yaml")
        clock, new_id = clock or SystemClock(), id_maker()
        fixed = {AgentPath(path): host for path, host in apart.items()}

        def places(holders: Mapping[AgentPath, str]) -> Places:
            hosts = dict(fixed)
            for path, unit in units.items():
                for agent in agents:
                    if agent == path or agent.startswith(f"{path}/"):
                        hosts[agent] = holders.get(unit.path, "")
            return Places(name, hosts)

        agents = [AgentPath(path) for path in _paths(opened.spec.matrix, opened.spec.agents)]
        around = Surroundings(
            clock=clock,
            new_id=new_id,
            workshop=lambda limits, told: Workshop(clock, limits, told),
            loader=opened.loader,
            places=places({}),
        )
        assembly = build(opened.spec, around)
        self.topology = LiveTopology(assembly, around, lambda: opened.spec)
        assembly.engine.observers.append(self.observations.append)
        session = new_id(clock.wall_us())
        self.client_id = f"em-{name}"
        settings = Settings(
            client_id=self.client_id,
            will=offline_will("em", name, session),
            not_ours=frozenset({"em/in/home/#"}),
            backoff=Backoff(0.01, 0.1),
            close_timeout_s=1,
        )
        candidates = {path: unit.hosts for path, unit in units.items()}
        everybody = {*fixed.values(), *(host for hosts in candidates.values() for host in hosts), name}
        spec = placed(opened.spec, {**dict.fromkeys(agents, name), **fixed}, candidates=candidates)
        self.guard = Guard(spec, everybody)
        self.transport = self.guard.watch(name, connect(settings))
        keys = folder / "keys" / name
        signing = Signing(keys, self.transport, spec, clock, name) if keys.exists() else None
        self.store = SqliteStore(folder / f"{name}.sqlite") if store else None
        self.host = Host(
            assembly,
            self.transport if signing is None else signing.transport,
            clock,
            name=name,
            session=session,
            store=self.store,
            topology=self.topology,
            changed=self.told.append,
        )

        if signing is not None:
            signing.guard(self.host)

        def replan(holders: Mapping[AgentPath, str]) -> Prepared:
            return self.topology.replan(places(holders))

        self.host.lead(units.values(), replan)

    @property
    def runs(self) -> list[str]:
        """The agents that are here."""
        return list(self.host.assembly.agents)

    def has(self, path: str) -> bool:
        """Whether an agent is here, and may act."""
        engine = self.host.engine
        return path in self.host.assembly.agents and path not in engine.pauses.suspended

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FailoverHost]:
        task = asyncio.create_task(self.host.run())
        try:
            yield self
        finally:
            self.host.stop()
            async with asyncio.timeout(WAIT_S):
                await task
            if self.store is not None:
                self.store.close()
            assert not self.guard.denied, self.guard.denied[:10]


def _paths(head: str, agents: Mapping[str, object]) -> list[str]:
    found: list[str] = []
    for name, spec in agents.items():
        found += [f"{head}/{name}", *_paths(f"{head}/{name}", spec.agents)]  # type: ignore[attr-defined]
    return found


async def until(holds: Callable[[], bool], within_s: float = WAIT_S) -> float:
    """Wait until something holds: how long it took. Real time and virtual time alike."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110 - of what a host does nobody tells
            await asyncio.sleep(0.005)
    return loop.time() - began_s
