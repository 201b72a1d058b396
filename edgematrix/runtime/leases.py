"""The leases of failover units on one host: what it holds runs here, and nothing else of these (docs/design.md, decision 2)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from edgematrix.errors import CodecError, EdgeMatrixError, PathError, QueueFullError, RunError
from edgematrix.hosting.effect import Activate, Effect, Publish, Sever, Suspend
from edgematrix.hosting.lease import read_lease
from edgematrix.hosting.leased import LeasedUnit
from edgematrix.hosting.tenure import Phase, Tenure
from edgematrix.protocol.codec import encode_value
from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.message import Message, Publication
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.ports import Clock, Transport
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.runtime.assembly import Assembly
from edgematrix.runtime.dead_letter import Origin
from edgematrix.runtime.engine import NEVER_US, Hits
from edgematrix.runtime.epochs import Epochs
from edgematrix.runtime.handover import Deliveries, Handover
from edgematrix.runtime.held_unit import HeldUnit
from edgematrix.runtime.held_units import HeldUnits
from edgematrix.runtime.losses import Losses
from edgematrix.runtime.snapshot import (
    SNAPSHOT_EVERY_US,
    encode_snapshot,
    read_snapshot,
    snapshot_topic,
)
from edgematrix.runtime.topology import Applied, Prepared
from edgematrix.runtime.warrant import Warrant

__all__ = ["Leases", "Replan"]

_log = logging.getLogger(__name__)

_FRESH_S = 1.0
"""How long a lease, or a snapshot, may wait for its turn at the socket."""
Replan = Callable[[Mapping[AgentPath, str]], Prepared]
"""Builds what is to run where units are held by these hosts, by their paths; the empty text is nobody. Called in a thread."""


class Changes(Protocol):
    """Puts in place what was built, in turn with other changes."""

    def replace(self, prepare: Callable[[], Prepared], told: Callable[[Applied | None, EdgeMatrixError | None], None]) -> None:
        """Put in place what `prepare` builds."""


class Announcing(Protocol):
    """What says on the bus that the host is there, and counts how often."""

    id: str
    is_linked: bool

    @property
    def number(self) -> int:
        """That of the newest announcement."""

    def announce(self) -> None:
        """Say so again."""


class Leases:
    """Drives the lease of each failover unit that this host may have. A listener and a timer of the engine, before all others.

    Args:
        host: this host's name.
        session: the life of this process, on the broker.
        changes: where what is held is put in place.
        deliveries: of durable agents; None where nothing is kept.
        told: called with a sentence when a unit comes or goes.
    """

    order = -1

    def __init__(
        self,
        assembly: Assembly,
        transport: Transport,
        clock: Clock,
        *,
        host: str,
        session: Announcing,
        changes: Changes,
        deliveries: Deliveries | None = None,
        told: Callable[[str], None] = _log.info,
    ) -> None:
        engine = self._engine = assembly.engine
        self.agent = engine.matrix
        self.epochs = Epochs()
        """Told what leases say."""
        self._assembly = assembly
        self._transport = transport
        self._clock = clock
        self._host = host
        self._announcing = session
        self._session = session.id
        self._changes = changes
        self._told = told
        self._units = HeldUnits()
        self._replan: Replan | None = None
        self._by_topic: dict[str, HeldUnit] = {}
        self._handover = Handover(
            assembly,
            deliveries,
            lambda path, held: self._units.of(path) is held,
            lambda held, reason: self._forfeit(held, reason, self._clock.now_us()),
        )
        self._losses = Losses(assembly)
        self._due_us: int | None = None
        self.warrant = Warrant(self._units, clock, is_linked=session.is_linked)
        """What lets agents publish."""
        self._awaited = 0
        """The number of the announcement whose echo tells that all that was subscribed to before it is heard; 0 for none."""
        self._is_placing = False
        self._is_closed = False
        self._host_head = f"{engine.root}/{Kind.HOST}/"
        engine.listen(TopicFilter.parse(f"{self._host_head}+"), self)
        engine.lapsed = self._look

    # What it is about

    def follow(self, units: Iterable[LeasedUnit], replan: Replan) -> None:
        """These are the units that this host may have, from now on; what is held of those that were so before is held on."""
        now_us = self._clock.now_us()
        wanted = {unit.path: unit for unit in units if self._host in unit.hosts}
        come = wanted.keys() - self._units.paths
        self._replan = replan
        for held in self._units:
            if held.unit.path not in wanted:
                self._forfeit(held, f"{self._host} may not have it any more", now_us)
                self._give_up(self._units.remove(held.unit.path), now_us)
        for path, unit in wanted.items():
            known = self._units.at(path)
            if known is None:
                self._units.add(self._begin(unit, now_us))
            else:
                known.unit = unit
                known.tenure.candidates.order, known.tenure.returns = unit.hosts, unit.returns
        self._units.settle(self._assembly.agents)
        self._subscribe(come)
        if self.warrant.is_linked and come:
            self._announcing.announce()
            self._awaited = self._announcing.number
        self._settle(now_us)
        self._place()

    def load(self, stored: Mapping[str, Mapping[str, bytes]]) -> None:
        """What the host's store holds, by owner and part: units that it held before may go on from there."""
        self._handover.load({key: parts for key, parts in stored.items() if "#" in key and self._units.of(key.partition("#")[0])})

    def may_come(self, path: AgentPath) -> bool:
        """Whether an agent is in a unit that this host may have."""
        return self._units.of(path) is not None

    def holders(self) -> dict[AgentPath, str]:
        """Who is to have each unit now: this host, or the empty text."""
        return {held.unit.path: self._host if self._is_due_here(held) else "" for held in self._units}

    # What somebody asks

    def give_back(self, path: AgentPath, now_us: int) -> str:
        """Hand a unit over to the best choice that is online: its name.

        Raises:
            PathError: there is no such unit.
            RunError: it is not here, or there is no better choice.
        """
        held = self._units.at(path)
        if held is None:
            known = ", ".join(sorted(self._units.paths)) or "none"
            raise PathError(f"{path} has no `failover` that this host takes part in", remedy=f"those that have are {known}")
        tenure = held.tenure
        if tenure.phase is not Phase.HOLDING:
            raise RunError("it is not on this host", where=path)
        name = tenure.successor
        if not name:
            better = ", ".join(held.unit.hosts[: held.unit.hosts.index(self._host)])
            raise RunError(f"no better choice is online: {better}" if better else "this host is the first choice", where=path)
        self._carry_out(held, tenure.give_back(now_us), now_us)
        self._settle(now_us)
        return name

    # What happens

    def linked(self, number: int, now_us: int) -> None:
        """The broker is there, and the host is about to announce itself with this number: its echo tells when all else was heard.

        What was published while the host was away has to be asked for: of a session that is resumed no broker sends retained messages.
        """
        self.warrant.is_linked, self._awaited = True, number
        self._subscribe(self._units.paths)
        self._each(lambda tenure: tenure.linked(now_us), now_us)

    def unlinked(self, now_us: int) -> None:
        """The connection is gone."""
        self.warrant.is_linked, self._awaited = False, 0
        self._each(lambda tenure: tenure.unlinked(now_us), now_us)

    def receive(self, message: Message, hits: Hits, now_us: int) -> None:  # noqa: ARG002 - the topic tells what it is
        """Take a lease, a snapshot, or what a host says of itself."""
        held = self._by_topic.get(message.topic)
        if held is None:
            if message.topic.startswith(self._host_head):
                self._host_said(message.topic.removeprefix(self._host_head), message, now_us)
            return
        if message.value in ("", None):
            return  # somebody has cleared the topic: that says nothing
        try:
            if message.topic.startswith(f"{self._engine.root}/{Kind.LEASE}/"):
                lease = read_lease(message.value)
                self.epochs.note(held.unit.path, lease.epoch)
                self._carry_out(held, held.tenure.heard(lease, now_us, retained=message.retained), now_us)
                if lease.holder not in ("", self._host):
                    self._forfeit(held, f"{lease.holder} has it now", now_us)
            else:
                found = read_snapshot(message.value)
                if held.heard is None or found.epoch >= held.heard.epoch:
                    held.heard = found
        except CodecError as error:
            self._engine.dead_letter(self._engine.matrix, message.topic, message.value, str(error), now_us, Origin(message.trail))
            return
        self._settle(now_us)

    def awaits(self, due_us: int) -> bool:
        """Whether it waits for that moment."""
        return due_us == self._due_us

    def due(self, due_us: int, now_us: int) -> None:
        """A moment of one of the leases, or the end of runs that are no longer this host's."""
        if due_us == self._due_us:
            self._due_us = None
        self._losses.tell(now_us)
        self._look(now_us)

    def placed(self, applied: Applied) -> None:
        """What runs here has changed."""
        self._units.settle(applied.agents)
        pauses = self._engine.pauses
        pauses.suspended = pauses.suspended & frozenset(applied.agents)
        now_us = self._clock.now_us()
        for held in self._units:
            if held.is_here:
                self._forfeit(held, "its definition was changed", now_us)  # what has come has been taken up
            if held.is_here and held.tenure.is_held(now_us) and not held.snapshot_us:
                held.snapshot_us = now_us + SNAPSHOT_EVERY_US
        self._settle(now_us)
        self._place()

    def close(self) -> None:
        """The host goes on purpose: others need not wait for what it held."""
        now_us = self._clock.now_us()
        self._is_closed = True
        self._each(lambda tenure: tenure.stop(now_us), now_us)
        self._losses.tell(now_us)

    # Its units

    def _begin(self, unit: LeasedUnit, now_us: int) -> HeldUnit:
        root = self._engine.root
        held = HeldUnit(unit, Tenure(self._host, self._session, unit.hosts, returns=unit.returns))
        lease, snapshot = topic_for(root, Kind.LEASE, unit.path), snapshot_topic(root, unit.path)
        self._by_topic |= {lease: held, snapshot: held}
        for topic in (lease, snapshot):
            self._engine.listen(TopicFilter.parse(topic), self)
        if self.warrant.is_linked:
            held.tenure.linked(now_us)
        return held

    def _subscribe(self, units: Iterable[AgentPath]) -> None:
        """Ask for these leases. Not so that a broker keeps them for a host that is away: there is one each second."""
        root = self._engine.root
        self._transport.subscribe({f"{self._host_head}+": 1} | {topic_for(root, Kind.LEASE, path): 0 for path in units})

    def _give_up(self, held: HeldUnit, now_us: int) -> None:
        """This host may not have it any more."""
        self._carry_out(held, held.tenure.stop(now_us), now_us)
        topics = [topic for topic, other in self._by_topic.items() if other is held]
        for topic in topics:
            del self._by_topic[topic]
        self._transport.unsubscribe(topics)
        self.epochs.forget(held.unit.path)

    def _is_due_here(self, held: HeldUnit) -> bool:
        """Whether it is to run here: what was suspended is taken out first, and comes anew."""
        return held.tenure.phase is Phase.HOLDING and not (held.members & self._engine.pauses.suspended)

    # Their leases

    def _host_said(self, name: str, message: Message, now_us: int) -> None:
        about = message.value if isinstance(message.value, Mapping) else {}
        session, status = about.get("session"), about.get("status")
        if not isinstance(session, str):
            return
        is_online = status == "online"
        self._each(lambda tenure: tenure.host_seen(name, session, now_us, online=is_online), now_us)
        number = about.get("number")
        is_own = name == self._host and session == self._session
        if is_online and is_own and not message.retained and self._awaited and isinstance(number, int) and number >= self._awaited:
            self._awaited = 0
            self._each(lambda tenure: tenure.watching(now_us), now_us)

    def _look(self, now_us: int) -> None:
        """Let time pass for all leases."""
        self._each(lambda tenure: tenure.tick(now_us), now_us)

    def _each(self, step: Callable[[Tenure], list[Effect]], now_us: int) -> None:
        for held in self._units:
            self._carry_out(held, step(held.tenure), now_us)
        self._settle(now_us)

    def _carry_out(self, held: HeldUnit, effects: list[Effect], now_us: int) -> None:
        if held.tenure.phase is Phase.CLAIMING and not held.wants:
            held.wants = True
            held.heard = None
            self._transport.subscribe({snapshot_topic(self._engine.root, held.unit.path): 1})  # it comes before the echo of the claim
        for effect in effects:
            if isinstance(effect, Publish):
                lease = effect.lease
                if lease.giver == self._session and held.kept is not None:
                    self._publish(snapshot_topic(self._engine.root, held.unit.path), encode_snapshot(held.kept))
                self.epochs.note(held.unit.path, lease.epoch)
                self._publish(topic_for(self._engine.root, Kind.LEASE, held.unit.path), encode_value(lease.as_value()))
            elif isinstance(effect, Activate):
                self._activate(held, effect.epoch)
            elif isinstance(effect, Suspend):
                self._suspend(held, effect, now_us)
            elif isinstance(effect, Sever):
                self._transport.sever(effect.reason)
        if held.tenure.phase is not Phase.CLAIMING and held.wants:
            held.wants = False
            self._transport.unsubscribe([snapshot_topic(self._engine.root, held.unit.path)])

    def _publish(self, topic: str, payload: bytes) -> None:
        try:
            self._transport.publish(Publication(topic, payload, 1, retain=True, fresh_s=_FRESH_S))
        except QueueFullError as error:
            _log.warning("%s is not published: %s", topic, error.what)

    def _activate(self, held: HeldUnit, epoch: int) -> None:
        how = self._handover.restore(held, epoch)
        held.is_restored = True
        self._told(f"{held.unit.path} is here now, with the epoch {epoch}{how}")
        self._place()

    def _suspend(self, held: HeldUnit, effect: Suspend, now_us: int) -> None:
        """At once: from here on nothing that its agents put out is heard, and none of their runs begins."""
        self._told(f"{held.unit.path} is not here any more: {effect.reason}")
        if held.is_here:
            held.kept = self._handover.snapshot(held, effect.epoch)
        pauses = self._engine.pauses
        pauses.suspended = pauses.suspended | held.members
        held.snapshot_us, held.published = 0, b""
        self._losses.suspended(held, effect.reason)
        if not self._is_closed:
            self._wake(now_us)
            self._place()

    def _forfeit(self, held: HeldUnit, reason: str, now_us: int) -> None:
        """What a unit had under way here before a restart does not go on here. That is told outside any message."""
        if self._losses.forfeited(held, lambda agent: self._units.of(agent) is held, reason) and not self._is_closed:
            self._wake(now_us)

    def _settle(self, now_us: int) -> None:
        """Wait for whatever comes next, and let the engine know until when what is held is held."""
        lapses = [lapse_us for held in self._units if (lapse_us := held.tenure.lapse_us) is not None]
        self._engine.lapse_us = min(lapses, default=NEVER_US)
        if self._is_closed:
            return
        dues = [due_us for held in self._units if (due_us := held.tenure.deadline_us) is not None]
        for held in self._units:
            if held.snapshot_us and held.is_here:
                if now_us >= held.snapshot_us:
                    self._share(held, now_us)
                dues.append(held.snapshot_us)
        if dues:
            self._wake(min(dues))

    def _wake(self, due_us: int) -> None:
        if self._due_us is None or due_us < self._due_us:
            self._due_us = due_us
            self._engine.schedule(self, due_us)

    # What runs

    def _place(self) -> None:
        """Have run here what is to, and nothing else."""
        if self._is_placing or self._is_closed or self._replan is None:
            return
        if all(held.is_here == self._is_due_here(held) for held in self._units):
            return
        self._is_placing = True
        holders, replan = self.holders(), self._replan
        self._changes.replace(lambda: replan(holders), self._was_placed)

    def _was_placed(self, applied: Applied | None, error: EdgeMatrixError | None) -> None:
        self._is_placing = False
        now_us = self._clock.now_us()
        if error is not None:
            for held in self._units:
                if self._is_due_here(held) and not held.is_here:
                    self._told(f"{held.unit.path} cannot run here: {error}")
                    self._carry_out(held, held.tenure.decline(now_us), now_us)
            self._settle(now_us)
        elif applied is not None:
            self._place()

    # Their states

    def _share(self, held: HeldUnit, now_us: int) -> None:
        """Publish what a unit is like, if that has changed."""
        held.snapshot_us = now_us + SNAPSHOT_EVERY_US
        if not self.warrant.is_linked or not held.tenure.is_held(now_us):
            return
        snapshot = self._handover.snapshot(held, held.tenure.epoch)
        data = encode_snapshot(snapshot)
        if data != held.published:
            if snapshot.left_out and not held.published:
                self._told(f"the state of {', '.join(snapshot.left_out)} is too large to go with {held.unit.path} to another host")
            held.published = data
            self._publish(snapshot_topic(self._engine.root, held.unit.path), data)
