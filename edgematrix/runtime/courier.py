"""Carries what durable agents say to agents elsewhere and to foreign topics, and takes what comes over durable edges.

Nothing leaves before it is stored, and nothing is acknowledged before what it led to is stored (docs/spec/topics.md, "Delivery").
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress

from edgematrix.delivery.ack import Ack, encode_ack, read_ack
from edgematrix.delivery.edge import edge_of, sender_of, topic_of
from edgematrix.delivery.edge_queue import AGAIN_US_MAX, SLEEPER_US_MAX
from edgematrix.delivery.inbox import Inbox, Verdict
from edgematrix.delivery.lane import Lane
from edgematrix.delivery.outbox import Outbox
from edgematrix.errors import CodecError, QueueFullError, TopicError
from edgematrix.protocol.codec import check_bounds, decode
from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.message import NO_TRAIL, Message, Publication
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.ports import Clock, Transport
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.runtime.ack_routes import AckRoutes
from edgematrix.runtime.alarm import Alarm
from edgematrix.runtime.dead_letter import Origin
from edgematrix.runtime.engine import Engine, Hits
from edgematrix.runtime.observation import Dropped
from edgematrix.runtime.outbound import Outbound

__all__ = ["Courier"]

_log = logging.getLogger(__name__)
_CACHED_MAX = 20_000
_NOBODY: frozenset[AgentPath] = frozenset()
_QOS = 1
_BEYOND = 4
"""What is taken is brought to its end: what that puts out may be so many times what may wait when new work is taken."""
_HOPS_EVEN = 16
"""Hops from which on all of the room may be used."""


class Courier:
    """The durable traffic of one host.

    Args:
        epoch: that of edges of which the store knows nothing: the wall clock in milliseconds.
        touched: called when something waits for the next commit.
    """

    def __init__(self, engine: Engine, transport: Transport, clock: Clock, *, epoch: int, touched: Callable[[], None]) -> None:
        self._engine = engine
        self._transport = transport
        self._clock = clock
        self._touched = touched
        limits = engine.limits
        self._entries_max = limits.outbox_durable_max
        self._bytes_max = limits.outbox_durable_bytes_max
        bounds = {"entries_max": _BEYOND * self._entries_max, "bytes_max": _BEYOND * self._bytes_max}
        self.outbox = Outbox(engine.touched.append, epoch, **bounds)
        self.lane = Lane(engine.touched.append, **bounds)
        self.inbox = Inbox(engine.touched.append)
        self._alarm = Alarm(clock, self.pump)
        self._ack_head = f"{engine.root}/{Kind.ACK}/"
        self._heard: set[AgentPath] = set()
        """Agents elsewhere whose acknowledgements are subscribed to."""
        self._edges: dict[tuple[str, str], str] = {}
        """The edge of each sender and topic that is defined in the outbox."""
        self.routes = AckRoutes(engine)
        """Who acknowledges what."""
        self._deferred: deque[tuple[int, Message]] = deque()
        """Messages of the broker, each with its receipt, for which there was no room."""
        self._refused: dict[tuple[str, str, int], int] = {}
        """Edges, by receiver, edge and epoch, of which something was not taken for want of room; with its hops."""
        self.is_stalled = False
        """Whether nothing can be stored at present, so that nothing is promised."""
        self._linked = False
        self._denied = ("", "")
        """The topic and the reason of what the broker refused last."""
        engine.listen(TopicFilter.parse(f"{self._ack_head}{engine.matrix}/#"), _Acks(self, engine.matrix))

    # The store

    def load(self, stored: Mapping[str, Mapping[str, bytes]], now_us: int, damaged: Callable[[str, Exception], None]) -> None:
        """Take up what was under way when the host went down.

        Args:
            stored: parts by the owner's key.
            damaged: called with the key and the error where a part is of no use.
        """
        self.inbox.load(stored.get(Inbox.STORE_KEY, {}), damaged)
        self.outbox.load(stored.get(Outbox.STORE_KEY, {}), damaged, now_us)
        self.lane.load(stored.get(Lane.STORE_KEY, {}), damaged)
        for edge in self.outbox.edges:
            self._define(edge)

    def committed(self) -> None:
        """All that was to be stored is stored: let it leave, and acknowledge what it came from."""
        self.inbox.committed()
        self.outbox.committed(self._clock.now_us())
        self.lane.committed()
        self.pump()

    def is_congested(self, hops: int = 0, *, of: int = 1) -> bool:
        """Whether so much waits to be delivered that no new work is taken, or, with `of`, such a part of that.

        What has come further may use more of the room, so that hosts which send to one another never wait for one another for
        ever: of what waits, that with the most hops can always go on (structured buffer pools: E. Raubold, J. Haenle, 1976).
        """
        share = _HOPS_EVEN + min(hops, _HOPS_EVEN)
        whole = 2 * _HOPS_EVEN * of
        entries_high, bytes_high = self._entries_max * share // whole, self._bytes_max * share // whole
        return (
            self.is_stalled
            or max(self.outbox.waiting, self.lane.waiting) >= max(entries_high, 1)
            or (max(self.outbox.waiting_bytes, self.lane.waiting_bytes) >= bytes_high)
        )

    def _has_room_for(self, message: Message) -> bool:
        """Whether an event is taken now. Calls and their answers always are: they are bounded by the runs that they belong to.

        So is what is heard for the sake of answers alone, such as what an agent puts out to which code here sends: it begins nothing.
        """
        if self.is_stalled:
            return False
        if message.call_inputs is not None or message.trail.runid in self._engine.calls.open or not self.routes.begins_work(message.topic):
            return True
        return not self.is_congested(message.trail.hops)

    # Agents that move

    def knows(self, receiver: str) -> bool:
        """Whether an agent is known to have taken anything so far."""
        return self.inbox.knows(receiver)

    def cursors(self, receiver: str) -> bytes:
        """What an agent here has taken so far, to go with its state to another host."""
        return self.inbox.cursors(receiver)

    def speak(self, sender: str, epoch: int) -> None:
        """An agent is here again, and goes on with all that it had taken and put out: it speaks in a new epoch."""
        self.outbox.raise_epoch(sender, epoch)

    def adopt(self, receiver: str, cursors: bytes, epoch: int) -> None:
        """An agent has come: it goes on with what it had taken elsewhere (empty: nothing is known), and speaks in a new epoch.

        Raises:
            StateError: what it had taken is damaged: nothing is known.
        """
        self.outbox.raise_epoch(receiver, epoch)
        self._engine.remote.moved.add(AgentPath(receiver))
        self.inbox.forget(receiver)
        if cursors:
            self.inbox.adopt(receiver, cursors)

    # Going out

    def takes(self, outbound: Outbound) -> bool:
        """Whether a publication is one that has to be stored before it leaves; then it is staged.

        What cannot be staged is told, and does not leave at all.
        """
        if outbound.source not in self._engine.durable:
            return False
        receivers = self.routes.elsewhere(outbound.source, outbound.topic)
        if receivers is None:
            return False
        try:
            if receivers:
                self._stage(outbound, receivers)
            else:
                publication = outbound.publication(self._clock.to_wall_us)
                publication.qos = _QOS  # a broker confirms no other
                expiry_us = None if outbound.trail is None else outbound.trail.expiry_us
                self.lane.put(publication, expiry_us)
        except (CodecError, QueueFullError, TopicError) as error:
            self._refuse(outbound, error.what)
        self._touched()
        return True

    def linked(self) -> None:
        """The broker is there: send what is not acknowledged, and tell senders how far they have come."""
        self._linked = True
        self.outbox.linked(self._clock.now_us())
        self.lane.linked()
        for receiver, ack in self.inbox.all_acks():
            self._acknowledge(receiver, ack)
        self.pump()

    def unlinked(self) -> None:
        """The broker is gone."""
        self._linked = False
        self._deferred.clear()  # the broker sends them again
        self.outbox.unlinked()
        self.lane.unlinked()
        self._alarm.set(None)

    def denied(self, topic: str, reason: str) -> None:
        """The broker refuses a publication; if it has a number, that is confirmed next."""
        self._denied = (topic, reason)

    def confirmed(self, number: int) -> None:
        """The broker has taken a publication that no agent acknowledges, or never will."""
        publication, denied = self.lane.under_way(number), self._denied
        self._denied = ("", "")
        if publication is not None and publication.topic == denied[0]:
            self._bury(publication, denied[1])
        self.lane.confirmed(number)
        self.pump()

    def _bury(self, publication: Publication, reason: str) -> None:
        """Make a dead letter of what the broker will not take: all that comes after it would wait for an access list that nobody renews."""
        engine, source, trail = self._engine, "", NO_TRAIL
        value: object = publication.payload.decode(errors="replace")
        with suppress(CodecError):  # it is shown as it is
            made = decode(publication.topic, publication.payload, retained=False, qos=_QOS, limits=engine.limits)
            source, value, trail = made.source, made.value, made.trail
        agent = AgentPath(source) if source in engine.durable else engine.matrix
        engine.dead_letter(agent, publication.topic, value, reason, self._clock.now_us(), Origin(trail, is_output=True))

    def pump(self) -> None:
        """Send all that may leave now."""
        now_us = self._clock.now_us()
        if self._linked:
            for topic, payload in self.outbox.due(now_us):
                _, retain = self._engine.deliveries.get(topic, (0, False))
                self._publish(Publication(topic, payload, _QOS, retain, is_lasting=True))
            self._send_lane(now_us)
            if self._refused:
                self._remind()
            for receiver, ack in self.inbox.acks():
                self._acknowledge(receiver, ack)
            self._alarm.set(self.outbox.deadline_us)
        for expired in self.lane.take_expired():
            self._engine.observe(Dropped(now_us, self._engine.matrix, expired.topic, "it expired before it could be delivered"))

    def _send_lane(self, now_us: int) -> None:
        """Hand on what the broker is to have; what finds no room is due again."""
        for publication in self.lane.due(now_us):
            try:
                self._transport.publish(publication)
            except QueueFullError:
                self.lane.go_back(publication.number)
                break
            except TopicError as error:
                self.lane.confirmed(publication.number)
                self._engine.observe(Dropped(now_us, self._engine.matrix, publication.topic, error.what))

    def _remind(self) -> None:
        """Let those send again for whom there is room now, and more than for the first of what they send."""
        for refused, hops in list(self._refused.items()):
            if not self.is_congested(hops, of=2):
                del self._refused[refused]
                self.inbox.remind(*refused)

    def close(self) -> None:
        """Wait for nothing any more."""
        self._alarm.set(None)

    # Coming in

    def takes_bare(self, message: Message) -> bool:
        """Whether a message with QoS 1 and no sequence is taken now: for a durable agent, the broker keeps it until that is stored.

        One that is not taken comes again by `bare`, as soon as there is room; the broker sends no more than it may without a PUBACK.
        """
        if not self.routes.here(message.topic):
            return True
        if self._deferred or self.is_congested():
            self._deferred.append((self._transport.receipt, message))
            return False
        self._touched()
        return True

    def bare(self) -> Message | None:
        """The next message that was not taken when it came, if there is room now."""
        if not self._deferred or self.is_congested():
            return None
        self._touched()
        return self._deferred.popleft()[1]

    def acknowledgeable(self, receipt: int) -> int:
        """Up to where the broker may forget what it sent: not what still waits here to be taken."""
        return min(receipt, self._deferred[0][0] - 1) if self._deferred else receipt

    def forget_routes(self) -> None:
        """Agents have come or gone, here or elsewhere: others may have to acknowledge what waits."""
        self.routes.forget()
        self._edges.clear()
        for edge in self.outbox.edges:
            self._define(edge)

    def take(self, message: Message) -> frozenset[AgentPath] | None:
        """Look whether an event of an edge is new here.

        Returns:
            For whom it is new, if not for all: others have had it. None: for all. The empty set: for nobody.
        """
        assert message.sequence is not None  # noqa: S101 - whoever calls knows
        assert message.epoch is not None  # noqa: S101
        topic = message.topic
        try:
            edge = edge_of(message.source, topic, self._engine.root)
        except TopicError:
            return None
        receivers = self.routes.here(topic)
        if not receivers:
            return None if self.inbox.follow(edge, message.epoch, message.sequence) else _NOBODY
        sequence, epoch, base = message.sequence, message.epoch, message.base
        if not self._has_room_for(message):  # its sender keeps it, and sends it again
            if len(self._refused) < _CACHED_MAX:
                self._refused.update(((receiver, edge, epoch), message.trail.hops) for receiver in receivers)
            return _NOBODY
        new = {receiver for receiver in receivers if self.inbox.take(receiver, edge, epoch, sequence, base) is Verdict.NEW}
        self._touched()
        return None if len(new) == len(receivers) else frozenset(new)

    def acked(self, message: Message) -> None:
        """An agent elsewhere tells what it has committed."""
        receiver = message.topic.removeprefix(self._ack_head)
        try:
            ack = read_ack(message.value)
        except CodecError as error:
            if isinstance(message.value, Mapping) and "id" in message.value:
                return  # a board says that it has a command, which nobody sends again
            now_us = self._clock.now_us()
            self._engine.dead_letter(self._engine.matrix, message.topic, message.value, str(error), now_us, Origin(message.trail))
            return
        self.outbox.acked(receiver, ack, self._clock.now_us())
        self.pump()

    # Inside

    def _stage(self, outbound: Outbound, receivers: frozenset[AgentPath]) -> None:
        named = (outbound.source, outbound.topic)
        edge = self._edges.get(named)
        if edge is None:
            edge = edge_of(outbound.source, outbound.topic, self._engine.root)
            self._agree(edge, outbound.topic, receivers)
            if len(self._edges) >= _CACHED_MAX:
                self._edges.clear()
            self._edges[named] = edge
        epoch, sequence = self.outbox.number(edge)
        payload = outbound.payload(self._clock.to_wall_us, epoch, sequence)
        check_bounds(payload, self._engine.limits)  # what is never taken would be in the way of all that follows
        self.outbox.put(edge, payload, is_bounded=not outbound.is_needed)

    def _define(self, edge: str) -> None:
        """Say anew who is to acknowledge what an edge keeps. What nobody takes any more is given up, and told."""
        sender, topic = AgentPath(sender_of(edge)), topic_of(edge, self._engine.root)
        receivers = self.routes.elsewhere(sender, topic)
        owner = self.routes.owner_of(topic)
        if not receivers and sender in self._engine.elsewhere and owner is not None:
            receivers = frozenset((owner,)) if self._engine.hears(topic) else None  # the sender was here, and its receiver is now
        if receivers:
            self._agree(edge, topic, receivers)
        elif waiting := self.outbox.forget(edge):
            reason = f"{waiting} messages for {edge} are given up: nobody elsewhere takes them any more"
            self._engine.observe(Dropped(self._clock.now_us(), sender, topic, reason))

    def _agree(self, edge: str, topic: str, receivers: frozenset[AgentPath]) -> None:
        for receiver in receivers:
            self._hear(receiver)
        again_us_max = SLEEPER_US_MAX if receivers & self._engine.edges.boards else AGAIN_US_MAX
        self.outbox.define(edge, topic, frozenset(map(str, receivers)), again_us_max)

    def _hear(self, receiver: AgentPath) -> None:
        if receiver not in self._heard:
            self._heard.add(receiver)
            self._transport.subscribe({topic_for(self._engine.root, Kind.ACK, receiver): 0})

    def _acknowledge(self, receiver: str, ack: Ack) -> None:
        self._publish(Publication(topic_for(self._engine.root, Kind.ACK, receiver), encode_ack(ack)))

    def _publish(self, publication: Publication) -> None:
        try:
            self._transport.publish(publication)
        except QueueFullError:
            _log.debug("the transport's queue is full; %s is sent again later", publication.topic)

    def _refuse(self, outbound: Outbound, reason: str) -> None:
        """What cannot be kept does not leave: it is told, and can be retried."""
        origin = Origin(outbound.trail, is_output=True) if outbound.trail is not None else Origin(is_output=True)
        self._engine.dead_letter(
            AgentPath(outbound.source), outbound.topic, outbound.value, f"it cannot be delivered: {reason}", self._clock.now_us(), origin
        )
        self._engine.unsent(outbound, reason, self._clock.now_us())


class _Acks:
    """Hears what agents elsewhere have committed."""

    def __init__(self, courier: Courier, agent: AgentPath) -> None:
        self._courier = courier
        self.agent = agent

    def receive(self, message: Message, hits: Hits, now_us: int) -> None:  # noqa: ARG002 - the topic tells whose it is
        """Take an acknowledgement."""
        self._courier.acked(message)
