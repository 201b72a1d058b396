"""Several hosts of one matrix as they run in earnest, with couriers and stores, in virtual time: whole days at once, the same each time.

Each host is the real one (`Host`, with its keeper and its courier) on an event loop of its own that turns when the net says so.
A host that is killed is a loop that never turns again: nothing gets a chance to tidy up.
"""

from __future__ import annotations

import asyncio
import heapq
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from durable_bus import Bus, Line, Trouble

from edgematrix.config.agent_tree import AgentTree
from edgematrix.config.build import build
from edgematrix.config.live import LiveTopology
from edgematrix.config.opened import Opened
from edgematrix.config.opening import open_matrix
from edgematrix.config.places import Places
from edgematrix.config.surroundings import Surroundings
from edgematrix.errors import CodecError, StateError
from edgematrix.protocol.codec import decode_value
from edgematrix.protocol.duration import SECOND_US
from edgematrix.protocol.message import Publication
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.dead_letter import Letter
from edgematrix.runtime.herald import offline_will
from edgematrix.runtime.host import Host
from edgematrix.runtime.ids import id_maker
from edgematrix.runtime.keeper import PART_SEPARATOR
from edgematrix.runtime.ledger import Ledger
from edgematrix.runtime.observation import DeadLettered, Observation
from edgematrix.runtime.remote_calls import RemoteCalls
from edgematrix.runtime.workshop import Workshop
from edgematrix.testing.clock import VirtualClock
from edgematrix.testing.simulator import START_US
from edgematrix.testing.virtual_loop import VirtualLoop
from edgematrix.transport.connection import Backoff
from edgematrix.transport.settings import Settings

sys.path.insert(0, str(Path(__file__).parents[1]))  # the seeds of a failure are played again without pytest

from access_guard import Guard, placed

WORLD = "w"
"""The host of whoever sends and receives: it is never killed."""
_LOOK_US = 20 * SECOND_US
_LAST_TURNS = 5
"""Of a loop that is killed, so that nothing is left to do when its memory is freed."""
_QUIET_US = 12 * SECOND_US


@dataclass(frozen=True)
class DiskTrouble:
    """`takes_us`: how long a commit takes at most. `fails`: how often (0 to 1) one fails."""

    takes_us: int = 0
    fails: float = 0.0


class NetDisk:
    """A host's hold of what outlives its lives. A `Store`.

    Args:
        parts: what is stored; the next life has the same.
    """

    def __init__(self, parts: dict[str, bytes]) -> None:
        self.parts = parts
        self.is_dead = False
        """Whether the host was killed, so that it writes no more."""

    def load(self) -> dict[str, bytes]:
        return dict(self.parts)

    def save(self, changed: Mapping[str, bytes | None], *, is_safe: bool = False) -> None:
        if self.is_dead:
            raise StateError("the host is dead")
        for key, data in changed.items():
            if data is None:
                self.parts.pop(key, None)
            else:
                self.parts[key] = data

    def of(self, owner: str) -> list[str]:
        return [key.partition(PART_SEPARATOR)[2] for key in self.parts if key.startswith(owner + PART_SEPARATOR)]


class HostLoop(VirtualLoop):
    """One life of a host. A commit takes a drawn while: it is on the disk before the host hears of it."""

    def __init__(self, clock: VirtualClock, random: Random, trouble: DiskTrouble) -> None:
        super().__init__(clock)
        self._random = random
        self._trouble = trouble

    def run_in_executor(self, executor: Executor | None, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        takes_us = self._trouble.takes_us
        if not takes_us or not isinstance(func, partial):  # all but a commit
            return super().run_in_executor(executor, func, *args)
        future: asyncio.Future[Any] = self.create_future()
        written_s = self._random.randrange(1, takes_us + 1) / SECOND_US
        heard_s = self._random.randrange(1, takes_us + 1) / SECOND_US
        if self._random.random() < self._trouble.fails:
            self.call_later(written_s, future.set_exception, StateError("the disk is full"))
            return future

        def written() -> None:
            func(*args)
            self.call_later(heard_s, future.set_result, None)

        self.call_later(written_s, written)
        return future


class NetHost:
    """One life of one host."""

    def __init__(self, net: DurableNet, name: str, parts: dict[str, bytes]) -> None:
        self.name = name
        self.disk = NetDisk(parts)
        self.is_on = True
        clock = net.clock
        loop = self.loop = HostLoop(clock, net.random, net.disk_trouble)
        loop.set_exception_handler(self._failed)
        self._net = net
        around = Surroundings(
            clock=clock,
            new_id=net.new_id,
            workshop=lambda limits, stalled: Workshop(clock, limits, stalled, loop),
            loader=net.opened.loader,
            places=Places(name, net.places),
        )
        assembly = build(net.opened.spec, around)
        self.assembly, self.engine = assembly, assembly.engine
        self.engine.observers.append(lambda observation: net.observe(name, observation) if self.is_on else None)
        session = net.new_id(clock.wall_us())
        settings = Settings(
            client_id=f"em-host-{name}",
            will=offline_will("em", name, session),
            session_expiry_s=86_400,
            acks_held=True,
            not_ours=frozenset({"em/in/home/#"}),
            backoff=Backoff(0.25, 3.0),
        )
        self.line = Line(net.bus, settings, self.inside, net.failures.append)
        self.host = Host(
            assembly,
            self.line,
            clock,
            name=name,
            session=session,
            store=self.disk,
            topology=LiveTopology(assembly, around, lambda: net.opened.spec),
            changed=lambda text: net.say(name, text),
        )
        self.life = loop.create_task(self.host.run())

    @property
    def courier(self) -> Any:
        return self.host._courier

    def inside(self, act: Callable[[], object]) -> None:
        """Let something happen on the host's loop, with all that follows at this instant."""
        if self.is_on:
            self.loop.call_soon(act)
            self.loop.turn()

    def die(self) -> None:
        """Nothing that it does from now on has any effect."""
        self.is_on = False
        self.disk.is_dead = True
        self.line.die()
        writing = self.host._keeper._writing
        for _ in range(_LAST_TURNS):
            if writing is not None:
                writing.cancel()
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.loop.turn()
        self.loop.close()

    def _failed(self, loop: object, context: Mapping[str, Any]) -> None:
        if self.is_on:
            self._net.failures.append(f"{self.name}: {context.get('exception') or context['message']!r}")


class DurableNet:
    """The hosts, the bus, and their time.

    Args:
        places: the host of each part of the tree; what is not in it is on `WORLD`.
    """

    def __init__(
        self,
        folder: Path,
        matrix: Mapping[str, Any],
        places: Mapping[str, str],
        *,
        modules: Mapping[str, str],
        trouble: Trouble = Trouble(),  # noqa: B008 - frozen
        disk_trouble: DiskTrouble = DiskTrouble(),
        seed: int = 0,
    ) -> None:
        (folder / "matrix.yaml").write_text(json.dumps(matrix))
        for name, text in modules.items():
            (folder / f"{name}.py").write_text(text)
        self.opened: Opened = open_matrix(folder / "matrix.yaml")
        self.places = {node.path: _host_of(node.path, places) for node in AgentTree.of(self.opened.spec)}
        self.clock = VirtualClock(START_US)
        self.random = Random(seed)
        self.new_id = id_maker(seed)
        self.disk_trouble = disk_trouble
        self.failures: list[str] = []
        """What went wrong in the program itself."""
        self.foreign: Counter[str] = Counter()
        """What has arrived at the broker on foreign topics, bare."""
        self.observed: list[Callable[[str, Observation], None]] = []
        self.letters: list[tuple[float, str, DeadLettered]] = []
        self.log: list[str] = []
        """What happened, for whoever reads a failure."""
        self.kills = 0
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self.bus = Bus(self.random, trouble, self.clock.now_us, self.at)
        self.bus.heard.append(self._hear)
        names = sorted({WORLD, *self.places.values()})
        self.guard = Guard(placed(self.opened.spec, self.places), names)
        self.bus.heard.append(lambda client_id, publication: self._allow(self.guard.publishes(_name(client_id), publication.topic)))
        self.bus.asked.append(lambda client_id, topic_filter: self._allow(self.guard.subscribes(_name(client_id), topic_filter)))
        self.disks: dict[str, dict[str, bytes]] = {name: {} for name in names}
        self.hosts: dict[str, NetHost] = {}
        for name in names:
            self.start(name)

    # What happens

    def at(self, at_us: int, act: Callable[[], None]) -> None:
        """Let something happen when a moment has come, after what was said before for the same one."""
        self._count += 1
        heapq.heappush(self._due, (at_us, self._count, act))

    def after(self, after_s: float, act: Callable[[], None]) -> None:
        """The same, counted from the start."""
        self.at(START_US + round(after_s * SECOND_US), act)

    def tell(self, topic: str, value: object) -> None:
        """The world says something to the host that is never killed; it cannot be lost."""
        line = self.hosts[WORLD].line
        payload = json.dumps(value).encode()
        self.hosts[WORLD].inside(lambda: line._owner.tell("received", topic, payload, 0, False))

    def start(self, name: str) -> None:
        host = self.hosts[name] = NetHost(self, name, self.disks[name])
        host.loop.turn()

    def kill(self, name: str) -> None:
        """A host dies, with all that it had not stored."""
        host = self.hosts[name]
        if host.is_on:
            self.say(name, "is killed")
            self.kills += 1
            host.die()
            self.bus.bury(host.line.settings.client_id)

    def back(self, name: str) -> None:
        """It is started again, from its store."""
        if not self.hosts[name].is_on:
            self.say(name, "is started")
            self.start(name)

    def close(self) -> None:
        for host in self.hosts.values():
            if host.is_on:
                host.die()

    # Time

    @property
    def now_s(self) -> float:
        return (self.clock.now_us() - START_US) / SECOND_US

    def advance(self, to_us: int) -> None:
        while True:
            due_us = self._due[0][0] if self._due else to_us + 1
            for host in self.hosts.values():
                deadline_us = host.loop.deadline_us if host.is_on else None
                if deadline_us is not None:
                    due_us = min(due_us, deadline_us)
            if due_us > to_us:
                break
            self.clock.set(max(due_us, self.clock.now_us()))
            for host in self.hosts.values():
                if host.is_on and host.loop.deadline_us is not None and host.loop.deadline_us <= self.clock.now_us():
                    host.loop.turn()
            while self._due and self._due[0][0] <= self.clock.now_us():
                heapq.heappop(self._due)[2]()
            if self.failures:
                return
        self.clock.set(to_us)

    def play(self, from_s: float, until_s: float) -> None:
        """Go on until nothing has been open for a while, after `from_s`; at most until `until_s`."""
        self.advance(START_US + round(from_s * SECOND_US))
        quiet = 0
        while self.clock.now_us() < START_US + until_s * SECOND_US and not self.failures:
            self.advance(self.clock.now_us() + _LOOK_US)
            quiet = 0 if any(self.left()) else quiet + 1
            if quiet > _QUIET_US // _LOOK_US + 1:
                return

    # What came of it

    def left(self) -> Iterator[str]:
        """What is open still, waits still, or is stored still though it is over."""
        for name, host in self.hosts.items():
            if not host.is_on:
                yield f"{name} is down"
                continue
            calls = host.engine.calls
            yield from (f"{name}: the call {call.runid} of {call.caller} to {call.receiver} is open" for call in calls.open.values())
            if calls.held or calls._unsettled:
                yield f"{name}: calls are held or unsettled"
            for path, holders in host.engine.holders.items():
                yield from (f"{name}: {path} has the run {run.number} under way" for holder in holders for run in holder.runs())
            courier = host.courier
            yield from (f"{name}: {courier.outbox.waiting} wait in the outbox" for _ in range(bool(courier.outbox.waiting)))
            yield from (f"{name}: {courier.lane.waiting} wait in the lane" for _ in range(bool(courier.lane.waiting)))
            if host.host._keeper.is_behind or host.engine.touched:
                yield f"{name}: something is to be stored"
            for owner in (Ledger.STORE_KEY, RemoteCalls.STORE_KEY):
                yield from (f"{name}: {owner} {part!r} is stored still" for part in host.disk.of(owner))

    def unsent(self) -> Iterator[Letter]:
        """The dead letters, as they are kept now, of what found no room in an outbox: these can be retried."""
        for host in self.hosts.values():
            yield from (letter for letter in host.engine.letters.of(AgentPath("home")) if found_no_room(letter.reason))

    def observe(self, name: str, observation: Observation) -> None:
        if type(observation) is DeadLettered:
            self.letters.append((self.now_s, name, observation))
        for hears in self.observed:
            hears(name, observation)

    def say(self, name: str, text: str) -> None:
        self.log.append(f"{self.now_s:.6f} {name}: {text}")

    def _allow(self, refusal: str) -> None:
        """Whatever the access list refuses is an error of the program."""
        if refusal:
            self.failures.append(self.guard.denied[-1])

    def _hear(self, client_id: str, publication: Publication) -> None:
        if not publication.topic.startswith(("em/", "t/ask/")):
            try:
                value = decode_value(publication.payload, self.hosts[WORLD].engine.limits)
            except CodecError:  # other systems may take more than a host
                value = publication.payload.decode(errors="replace")
            self.foreign[json.dumps([publication.topic, value], sort_keys=True)] += 1


def found_no_room(reason: str) -> bool:
    """Whether something is a dead letter for so much waits to be delivered already."""
    return reason.startswith("it cannot be delivered: ") and (" wait to be acknowledged" in reason or " wait for the broker" in reason)


def _name(client_id: str) -> str:
    return client_id.removeprefix("em-host-")


def _host_of(path: str, places: Mapping[str, str]) -> str:
    while path:
        if path in places:
            return places[path]
        path = path.rpartition("/")[0]
    return WORLD


def spread_over(random: Random, matrix: Mapping[str, Any], names: Sequence[str]) -> dict[str, str]:
    """A host for each agent at the top, and for some of the others; with each goes what is in it, unless that has one of its own."""
    found: dict[str, str] = {}

    def walk(path: str, agent: Mapping[str, Any], share: float) -> None:
        if random.random() < share and '"parent.in"' not in json.dumps(agent.get("triggers", {})):  # that goes with whose input it reads
            found[path] = random.choice(names)
        members = agent.get("agents", {})
        if "pool" in agent:
            members = {f"m-{number}": members["m"] for number in range(1, agent["pool"]["replicas"] + 1)}
        for name, child in members.items():
            walk(f"{path}/{name}", child, 0.6)

    for name, agent in matrix["agents"].items():
        if name not in ("feed", "sink"):
            walk(f"home/{name}", agent, 1.0)
    return found
