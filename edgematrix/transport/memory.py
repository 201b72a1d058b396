"""A `Transport` over a bus in memory: for tests, the simulator, and matrices that need no broker."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping

from edgematrix.errors import AccessRefusedError, UsageError
from edgematrix.protocol.message import Publication
from edgematrix.protocol.ports import Link
from edgematrix.protocol.topic import check_topic
from edgematrix.transport.connection import Change, Connection, State
from edgematrix.transport.memory_bus import MemoryBus, MemorySession
from edgematrix.transport.outbox import Outbox, Waiting
from edgematrix.transport.owner import Owner
from edgematrix.transport.refusal import refusal
from edgematrix.transport.settings import Settings
from edgematrix.transport.subscriptions import Subscriptions
from edgematrix.transport.tally import Tally

__all__ = ["MemoryTransport"]

_log = logging.getLogger(__name__)


class MemoryTransport:
    """A client of a `MemoryBus`. It behaves as a client of a broker does, its queue and its reconnecting included.

    Args:
        bus: the broker.
        settings: as for a real connection; what concerns sockets has no meaning here.
        observer: is told each change of the connection's state, once an outage.
    """

    def __init__(self, bus: MemoryBus, settings: Settings, *, observer: Callable[[Change], None] | None = None) -> None:
        self._bus = bus
        self._settings = settings
        self._connection = Connection(settings.backoff, bus.random.random, self._changed)
        self._subscriptions = Subscriptions(not_ours=settings.not_ours)
        self._outbox = Outbox(
            messages_max=settings.outbox_messages_max, bytes_max=settings.outbox_bytes_max, window_max=settings.inflight_max
        )
        self._tally = Tally()
        self._owner = Owner(self._tally, observer)
        self._session: MemorySession | None = None
        self._receipt = 0
        self._held: deque[tuple[int, int]] = deque()
        self._draining = False
        self._step: asyncio.Task[None] | None = None
        self._ended: asyncio.Future[None] | None = None
        self._stopped = asyncio.Event()

    @property
    def state(self) -> State:
        """Where the connection stands."""
        return self._connection.state

    @property
    def receipt(self) -> int:
        """The number of the newest QoS 1 message handed to the link."""
        return self._receipt

    def counts(self) -> Mapping[str, int]:
        """What has been counted since the start, by name."""
        return self._tally.as_dict()

    async def run(self, link: Link) -> None:
        """Connect, and keep connected until `close`.

        Raises:
            AccessRefusedError: the bus refuses this client.
            UsageError: it runs already.
        """
        self._owner.begin(link, self._settings.client_id)
        connection = self._connection
        try:
            if connection.state is State.IDLE:
                connection.start()
            while not connection.ended:
                step = self._step = asyncio.create_task(self._pause() if connection.state is State.WAITING else self._connect())
                await asyncio.wait({step})
                if not step.cancelled():
                    step.result()
        finally:
            self._finish()
        if connection.state is State.REFUSED:
            raise AccessRefusedError(f"the bus refuses the client {self._settings.client_id!r}: {connection.reason}")

    async def close(self) -> None:
        """Disconnect cleanly: no will is published; end `run`."""
        online = self._connection.state is State.ONLINE
        self._connection.close()
        session = self._session
        if online and session is not None:
            self._drain()
            if self._session is session:
                self._bus.detach(session)
                self.cut("closed")
        elif self._connection.state is State.CLOSED and self._step is not None:
            self._step.cancel()
        if self._owner.link is not None:
            await self._stopped.wait()

    def publish(self, publication: Publication) -> None:
        """Send, or queue while not connected.

        Raises:
            QueueFullError: the queue is full of QoS 1 messages, and so is this; nothing was queued.
            TopicError: no message may be published on this topic.
            UsageError: the QoS is neither 0 nor 1.
        """
        check_topic(publication.topic)
        if publication.qos not in (0, 1):
            raise UsageError(f"QoS {publication.qos} is not 0 or 1", where=publication.topic)
        if self._connection.ended:
            self._tally.unsent += 1
            self._drop(publication, "the connection is closed")
            return
        if publication.fresh_s is not None and self._session is None:
            self._tally.expired += 1
            self._drop(publication, "there is no connection, and it may not wait for one")
            return
        for dropped in self._outbox.put(publication, self._now_s()):
            self._tally.queue_dropped += 1
            self._drop(dropped, "the queue is full")
        self._drain()

    def subscribe(self, filters: Mapping[str, int]) -> None:
        """Ask for these filters, each with QoS 0 or 1.

        Raises:
            TopicError: a filter breaks the grammar; none is asked for.
            UsageError: a QoS is neither 0 nor 1.
        """
        self._subscriptions.add(filters)
        self._tell_bus()

    def unsubscribe(self, filters: Iterable[str]) -> None:
        """Ask for these no longer."""
        self._subscriptions.remove(filters)
        self._tell_bus()

    def acknowledge(self, receipt: int) -> None:
        """Tell the bus that all up to `receipt` are safe."""
        while self._held and self._held[0][0] <= receipt:
            _, packet_id = self._held.popleft()
            if self._session is not None:
                self._bus.confirm(self._session, packet_id)

    def sever(self, reason: str) -> None:
        """Break the connection that stands, with all that is still on its way on it, and make a new one."""
        _log.warning("%s: the connection is given up: %s", self._settings.client_id, reason)
        self._bus.cut(self._settings.client_id)

    # What the bus tells

    def deliver(self, publication: Publication, retained: bool, packet_id: int) -> None:
        """A message came in."""
        session = self._session
        if session is None:
            return
        size_bytes = len(publication.payload) + len(publication.topic)
        if size_bytes > self._settings.packet_bytes_max:
            self._tally.unreadable += 1
            reason = f"a packet of {size_bytes} bytes, at most {self._settings.packet_bytes_max} are read"
            self._owner.tell("dropped", publication.topic, reason)
        elif retained and not self._subscriptions.accepts_retained(publication.topic, publication.payload):
            self._tally.copies_ignored += 1
        else:
            self._tally.received += 1
            self._receipt += packet_id > 0
            self._owner.tell("received", publication.topic, publication.payload, publication.qos, retained)
        if packet_id and (self._held or self._settings.acks_held):
            self._held.append((self._receipt, packet_id))
        elif packet_id:
            self._bus.confirm(session, packet_id)

    def cut(self, reason: str) -> None:
        """The connection is gone."""
        self._session = None
        self._held.clear()
        connection = self._connection
        for perished in self._outbox.perish():
            self._tally.expired += 1
            self._drop(perished, "the connection broke before it was sent, or before the broker confirmed it")
        # No message makes this bus break a connection, so none is ever suspected.
        self._outbox.lost(soon=False)
        connection.lost(reason, self._now_s())
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    # The steps of `run`

    async def _pause(self) -> None:
        await asyncio.sleep(self._connection.wait_s)
        self._connection.due()

    async def _connect(self) -> None:
        bus, settings, connection = self._bus, self._settings, self._connection
        self._ended = asyncio.get_running_loop().create_future()
        await asyncio.sleep(bus.random.random() * bus.faults.delay_s_max)
        unreachable = bus.unreachable(settings.client_id)
        if unreachable:
            connection.failed(unreachable)
            return
        connection.opened()
        banned = bus.banned(settings.client_id)
        if banned:
            connection.refused(banned)
            return
        self._session, present = bus.attach(self, settings.client_id, will=settings.will, expiry_s=settings.session_expiry_s)
        self._tally.connections += 1
        connection.accepted(self._now_s())
        self._subscriptions.connected(session_present=present, identified=True)
        self._outbox.opened(window=settings.inflight_max, session_present=present)
        self._tell_bus()
        self._drain()
        if self._session is not None:
            self._owner.tell("connected", present)
        await self._ended

    def _finish(self) -> None:
        if self._step is not None:
            self._step.cancel()
        if self._session is not None:
            self._bus.cut(self._settings.client_id)
        self._connection.close()
        for publication in self._outbox.drain():
            self._tally.unsent += 1
            self._drop(publication, "the connection was closed before it was sent, or before the broker confirmed it")
        self._stopped.set()

    # To the bus

    def _drain(self) -> None:
        # The bus may cut the connection on any message, which ends in `cut` below this frame.
        outbox = self._outbox
        if self._draining:
            return
        self._draining = True
        try:
            while (session := self._session) is not None and (waiting := outbox.take_assured() or outbox.take_best_effort()) is not None:
                self._send(session, waiting)
        finally:
            self._draining = False

    def _send(self, session: MemorySession, waiting: Waiting) -> None:
        publication = waiting.publication
        if waiting.deadline_s is not None and waiting.deadline_s <= self._now_s():
            self._tally.expired += 1
            self._outbox.withdraw(waiting)
            self._drop(publication, "it expired while it waited to be sent")
            self._confirm(publication)
            return
        self._tally.sent += 1
        refused = self._bus.accept(session, publication)
        if refused is None:
            return
        if waiting.packet_id:
            self._outbox.acknowledged(waiting.packet_id)
            self._tally.confirmed += not refused
            if refused:
                self._tally.rejected += 1
                self._drop(publication, refusal(refused))
            self._confirm(publication)

    def _tell_bus(self) -> None:
        session = self._session
        if session is None:
            return
        plan = self._subscriptions.plan()
        for topic_filter, qos in plan.subscribe.items():
            refusal = self._bus.subscribe(session, topic_filter, qos, not_ours=topic_filter in self._settings.not_ours)
            if refusal:
                for wanted in self._subscriptions.refuse(topic_filter):
                    self._owner.tell("refused", wanted, refusal)
            else:
                self._subscriptions.grant(topic_filter)
        for topic_filter in plan.unsubscribe:
            self._bus.unsubscribe(session, topic_filter)

    # To the owner

    def _changed(self, change: Change) -> None:
        self._owner.changed(change, self._settings.client_id)

    def _drop(self, publication: Publication, reason: str) -> None:
        self._owner.tell("dropped", publication.topic, reason)

    def _confirm(self, publication: Publication) -> None:
        if publication.number and publication.qos:
            self._owner.tell("confirmed", publication.number)

    @staticmethod
    def _now_s() -> float:
        return asyncio.get_running_loop().time()
