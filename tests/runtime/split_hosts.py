"""Several hosts that each run a part of one matrix, on one bus, in virtual time: deterministic, and as fast as a simulation."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from access_guard import Guard, placed

from edgematrix.config.agent_tree import AgentTree
from edgematrix.config.build import build
from edgematrix.config.live import LiveTopology
from edgematrix.config.opening import open_matrix
from edgematrix.config.places import Places
from edgematrix.config.surroundings import Surroundings
from edgematrix.protocol.codec import decode_value
from edgematrix.protocol.duration import SECOND_US, parse_duration
from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.message import Publication
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.router import Router
from edgematrix.runtime.herald import offline_will
from edgematrix.runtime.ids import id_maker
from edgematrix.runtime.observation import Observation
from edgematrix.runtime.operations import Operations
from edgematrix.runtime.session import Session
from edgematrix.runtime.workshop import Workshop
from edgematrix.testing.clock import VirtualClock
from edgematrix.testing.simulator import START_US
from edgematrix.testing.virtual_loop import VirtualLoop

TURNS_MAX = 100_000
BROKER = "broker"


class Wire:
    """A host's end of the bus."""

    receipt = 0

    def __init__(self, net: Net, name: str) -> None:
        self._net = net
        self._name = name

        self.queue: list[Publication] | None = None
        """What waits for the connection; None while it stands."""

    def publish(self, publication: Publication) -> None:
        if self.queue is None:
            self._net.carry(self._name, publication)
        else:
            self.queue.append(publication)

    def acknowledge(self, receipt: int) -> None: ...


class SplitHost:
    """One host: what it runs, and its session on the bus."""

    def __init__(self, net: Net, name: str, opened: Any, hosts: Mapping[AgentPath, str], lives: int = 0) -> None:
        self.name = name
        clock, loop = net.clock, net.loop
        around = Surroundings(
            clock=clock,
            new_id=net.new_id,
            workshop=lambda limits, stalled: Workshop(clock, limits, stalled, loop),
            loader=opened.loader,
            places=Places(name, hosts),
        )
        self.assembly = build(opened.spec, around)
        self.engine = self.assembly.engine
        self.observations: list[Observation] = []
        self.engine.observers.append(self.observations.append)
        topology = LiveTopology(self.assembly, around, lambda: opened.spec)
        self.operations = Operations(self.assembly, topology, host=name, now_us=clock.now_us, changed=lambda applied: None)
        self.router: Router[bool] = Router()
        net.guard.subscribes_all(name, (*self.assembly.filters, *self.operations.filters))
        for text in (*self.assembly.filters, *self.operations.filters):
            self.router.add(TopicFilter.parse(text), listener=True)
        self.lives = lives
        self.is_on = True
        self.wire = Wire(net, name)
        self.session = self._session(clock)

    def _session(self, clock: VirtualClock) -> Session:
        self.lives += 1
        session = Session(
            self.engine, self.wire, clock, name=self.name, session=f"{self.name}-{self.lives}", agents=self.assembly.agents, changed=str
        )
        self.engine.settled = session.flush
        return session


class Net:
    """The bus, the hosts on it, and their time.

    Args:
        places: the host of each part of the tree that is not on the first of `names`.
        delay_us: how long a message may take at most to the broker, and from there; drawn, in order on each way.
        late: hosts that are not there at the start; `back` brings them.
    """

    def __init__(
        self,
        folder: Path,
        matrix: str | dict[str, Any],
        places: Mapping[str, str],
        names: Sequence[str] = ("a", "b", "c"),
        *,
        modules: Mapping[str, str] | None = None,
        delay_us: int = 0,
        seed: int = 0,
        late: Sequence[str] = (),
    ) -> None:
        (folder / "matrix.yaml").write_text(matrix if isinstance(matrix, str) else json.dumps(matrix))
        for name, text in (modules or {}).items():
            (folder / f"{name}.py").write_text(text)
        opened = open_matrix(folder / "matrix.yaml")
        hosts = {node.path: _host_of(node.path, places, names[0]) for node in AgentTree.of(opened.spec)}
        self.clock = VirtualClock(START_US)
        self.loop = VirtualLoop(self.clock)
        self.new_id = id_maker(seed)
        self.told: list[tuple[float, str, object]] = []
        self.carried: list[tuple[str, str, Any]] = []
        """Who published what, on every topic."""
        self._random = Random(seed)
        self._delay_us = delay_us
        self._retained: dict[str, Publication] = {}
        self._under_way: list[tuple[int, int, str, Publication, bool]] = []
        self._count = 0
        self._last_us: dict[tuple[str, str], int] = defaultdict(int)
        self.cut: set[tuple[str, str]] = set()
        """Topics that do not reach a host: `(host, topic)`."""
        self._opened, self._places = opened, hosts
        self.guard = Guard(placed(opened.spec, hosts), names)
        """The access list that the hosts live under: nothing that they do may be beyond it."""
        self.hosts = {name: SplitHost(self, name, opened, hosts) for name in names}
        self.gone: list[SplitHost] = []
        for name in late:
            self.hosts[name].is_on = False

    def carry(self, sender: str, publication: Publication) -> None:
        topic = publication.topic
        value = decode_value(publication.payload)
        self.guard.publishes(sender, topic)
        self.carried.append((sender, topic, value))
        if not topic.startswith("em/"):
            self.told.append(((self.clock.now_us() - START_US) / SECOND_US, topic, value))
        self._put(sender, BROKER, publication, retained=False)

    def start(self) -> None:
        for host in self.hosts.values():
            if not host.is_on:
                continue  # it comes later
            host.assembly.start({}, self.clock.now_us(), _refuse)
            host.session.connected(session_present=False)
        self._settle()

    def say(self, topic: str, value: object) -> None:
        payload = json.dumps(value).encode() if not isinstance(value, str) else value.encode()
        self._put("world", BROKER, Publication(topic, payload, 1), retained=False)

    def go(self, name: str, *, farewell: bool = False) -> None:
        """A host dies."""
        host = self.hosts[name]
        if farewell:
            host.session.farewell()
        host.is_on = False
        self._under_way = [entry for entry in self._under_way if entry[2] != name]
        if not farewell:
            self.carry(name, offline_will("em", name, host.session.id))
        self._settle()

    def back(self, name: str) -> None:
        """A host that died begins anew; what it had under way is gone."""
        older = self.hosts[name]
        self.gone.append(older)
        host = self.hosts[name] = SplitHost(self, name, self._opened, self._places, older.lives)
        self._tell_retained(host)
        host.assembly.start({}, self.clock.now_us(), _refuse)
        host.session.connected(session_present=False)
        self._settle()

    def unlink(self, name: str) -> None:
        """A host's connection breaks: the broker says that it is gone, and forgets it."""
        host = self.hosts[name]
        host.wire.queue = []
        self._under_way = [entry for entry in self._under_way if entry[2] != name]
        host.session.disconnected("cut")
        self.carry(name, offline_will("em", name, host.session.id))
        self._settle()

    def link(self, name: str) -> None:
        """It is connected again; what waited for that is sent."""
        host = self.hosts[name]
        queue, host.wire.queue = host.wire.queue or [], None
        self._tell_retained(host)
        for publication in queue:
            self.carry(name, publication)
        host.session.connected(session_present=False)
        self._settle()

    def _tell_retained(self, host: SplitHost) -> None:
        for topic, publication in self._retained.items():
            if host.router.match(topic):
                self._put(BROKER, host.name, publication, retained=True)

    def play(self, inputs: Sequence[tuple[Any, ...]], until: float | str = 60) -> Net:
        """Let the world say `(at, topic, payload)`, or do `(at, callable)`, and time pass."""
        self.start()
        return self.play_on(inputs, until)

    def play_on(self, inputs: Sequence[tuple[Any, ...]], until: float | str) -> Net:
        """The same, later."""
        for at, what, *payload in sorted(inputs, key=lambda said: parse_duration(said[0])):
            self._advance(START_US + parse_duration(at))
            if payload:
                self.say(what, payload[0])
            else:
                what(self)
            self._settle()
        self._advance(START_US + parse_duration(until))
        return self

    def close(self) -> None:
        self.loop.close()
        assert not self.guard.denied, self.guard.denied[:10]

    # What came of it

    def on(self, topic: str) -> list[object]:
        return [payload for _, seen, payload in self.told if seen == topic]

    def of(self, kind: type[Any]) -> list[Any]:
        return [found for host in (*self.gone, *self.hosts.values()) for found in host.observations if type(found) is kind]

    def ends(self) -> list[tuple[str, Any]]:
        """The ends of calls that were told from host to host: path, outcome and reason."""
        return [(path, said["data"]) for path, said in self.told_ends()]

    def told_ends(self) -> list[tuple[str, Any]]:
        """The same as events: by path."""
        return [(topic[len("em/out/") : -len("/_end")], said) for _, topic, said in self.carried if topic.endswith("/_end")]

    # Inside

    def _put(self, sender: str, name: str, publication: Publication, *, retained: bool) -> None:
        drawn_us = self._random.randrange(self._delay_us + 1) if self._delay_us else 0
        way = (sender, name)
        due_us = max(self.clock.now_us() + drawn_us, self._last_us[way])
        self._last_us[way] = due_us
        self._count += 1
        self._under_way.append((due_us, self._count, name, publication, retained))

    def _spread(self, publication: Publication) -> None:
        """The broker has got it."""
        topic = publication.topic
        if publication.retain:
            self._retained[topic] = publication
        for name, host in self.hosts.items():
            if host.is_on and host.wire.queue is None and (name, topic) not in self.cut and host.router.match(topic):
                self._put(BROKER, name, publication, retained=False)

    def _settle(self) -> None:
        """Let all that is to happen at this instant happen."""
        for _ in range(TURNS_MAX):
            self.loop.turn()
            for host in self.hosts.values():
                if host.is_on:
                    host.session.flush()
            now_us = self.clock.now_us()
            due = [entry for entry in self._under_way if entry[0] <= now_us]
            if not due:
                return
            entry = min(due)
            self._under_way.remove(entry)
            _, _, name, publication, retained = entry
            if name == BROKER:
                self._spread(publication)
                continue
            host = self.hosts[name]
            if host.is_on:
                host.session.received(publication.topic, publication.payload, publication.qos, retained)
        raise AssertionError("the hosts did not come to rest")

    def _advance(self, to_us: int) -> None:
        while True:
            moments = [entry[0] for entry in self._under_way]
            moments += [host.engine.deadline_us for host in self.hosts.values() if host.is_on and host.engine.deadline_us is not None]
            if self.loop.deadline_us is not None:
                moments.append(self.loop.deadline_us)
            if not moments or min(moments) > to_us:
                break
            self.clock.set(min(moments))
            for host in self.hosts.values():
                if host.is_on:
                    host.engine.advance(self.clock.now_us())
            self._settle()
        self.clock.set(to_us)


def _host_of(path: str, places: Mapping[str, str], default: str) -> str:
    while path:
        if path in places:
            return places[path]
        path = path.rpartition("/")[0]
    return default


def _refuse(key: str, error: Exception) -> None:
    raise AssertionError(f"{key}: {error}")


def left_open(net: Net) -> Iterator[str]:
    """What is still open, though all is quiet."""
    for name, host in net.hosts.items():
        if host.is_on:
            calls = host.engine.calls
            yield from (f"{name}: the call {call.receiver} of {call.caller} is open" for call in calls.open.values())
            if calls.held or calls._unsettled:
                yield f"{name}: calls are held or unsettled"
            for path, holders in host.engine.holders.items():
                yield from (f"{name}: {path} has the run {run.number} under way" for holder in holders for run in holder.runs())
