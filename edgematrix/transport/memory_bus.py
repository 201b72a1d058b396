"""An MQTT broker in memory: what a broker does, as far as a client can see it, without a socket and always the same.

Retained messages, wildcards, `$` topics, sessions that outlive a connection, QoS 0 and 1, wills, expiry. A session hears a
message once, with the highest QoS of its filters that match. Deliveries take at least one turn of the event loop, and
time is the loop's, so that a loop with a clock of its own runs whole days at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Protocol

from msgspec import structs

from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.message import Publication
from edgematrix.protocol.overlap import covers
from edgematrix.protocol.router import Router

__all__ = ["Faults", "MemoryBus", "MemoryClient", "MemorySession"]

Rule = Callable[[str, str], str]


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong, drawn from the bus's seed.

    `delay_s_max`: a delivery takes up to this long; the order within a session holds.
    `cut_rate`: how often (0 to 1) carrying one message breaks the connection that it travels on, before or after it arrived.
    """

    delay_s_max: float = 0.0
    cut_rate: float = 0.0


class MemoryClient(Protocol):
    """The client's end of a connection."""

    def deliver(self, publication: Publication, retained: bool, packet_id: int) -> None:
        """A message for the client; it confirms a `packet_id` that is not 0."""

    def cut(self, reason: str) -> None:
        """The connection is gone."""


@dataclass(slots=True, eq=False)
class _Delivery:
    publication: Publication
    qos: int
    retained: bool
    deadline_s: float | None
    packet_id: int = 0


@dataclass(slots=True, eq=False)
class _Subscription:
    session: MemorySession
    qos: int
    not_ours: bool = False


class MemorySession:
    """What the bus knows of one client. Made by the bus."""

    def __init__(self, client_id: str) -> None:
        self.client_id = client_id
        self.client: MemoryClient | None = None
        self.will: Publication | None = None
        self.expiry_s = 0
        self.left_at_s = 0.0
        self.subscriptions: dict[str, _Subscription] = {}
        self.queue: deque[_Delivery] = deque()
        self.unconfirmed: dict[int, _Delivery] = {}
        self.due_s = 0.0
        self.connection = 0
        self.last_packet_id = 0


class MemoryBus:
    """The broker. Hosts of one test share it.

    Args:
        seed: of all that is drawn by chance.
        faults: what goes wrong.
        queue_max: QoS 1 messages kept for a client that is away; beyond it the newest are dropped and counted.
        refuses_subscription: gives the reason why (client id, filter) is refused, or nothing.
        refuses_publication: gives the reason why (client id, topic) is refused, or nothing.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        faults: Faults | None = None,
        queue_max: int = 10_000,
        refuses_subscription: Rule | None = None,
        refuses_publication: Rule | None = None,
    ) -> None:
        self.random = Random(seed)  # noqa: S311 - faults that can be repeated, not secrets
        self.faults = faults or Faults()
        self.dropped = 0
        """Messages that no queue took, and that expired in one."""
        self._queue_max = queue_max
        self._refuses_subscription = refuses_subscription
        self._refuses_publication = refuses_publication
        self._running = True
        self._isolated: set[str] = set()
        self._banned: dict[str, str] = {}
        self._sessions: dict[str, MemorySession] = {}
        self._retained: dict[str, tuple[Publication, float | None]] = {}
        self._router: Router[_Subscription] = Router()

    # What a test does to it

    @property
    def retained(self) -> Mapping[str, bytes]:
        """The retained messages: payload by topic."""
        return {topic: publication.payload for topic, (publication, _) in self._retained.items()}

    def stop(self, *, forget: bool = False) -> None:
        """The broker dies: connections break, no will is published. `forget`: sessions and retained messages are gone too."""
        self._running = False
        for session in list(self._sessions.values()):
            self._break(session, "the broker has stopped", publish_will=False)
        if forget:
            self._sessions.clear()
            self._retained.clear()
            self._router = Router()

    def start(self) -> None:
        """The broker is back."""
        self._running = True

    def cut(self, client_id: str) -> None:
        """Break a client's connection: its will is published, and it may come back."""
        session = self._sessions.get(client_id)
        if session is not None:
            self._break(session, "the connection was cut", publish_will=True)

    def isolate(self, client_id: str) -> None:
        """Break a client's connection and let it not come back until `restore`."""
        self._isolated.add(client_id)
        self.cut(client_id)

    def restore(self, client_id: str) -> None:
        """An isolated client may connect again."""
        self._isolated.discard(client_id)

    def ban(self, client_id: str, reason: str) -> None:
        """Refuse a client for good when it connects the next time, as a broker does with a wrong password."""
        self._banned[client_id] = reason

    def publish(self, publication: Publication) -> None:
        """A message from some client outside."""
        self._route(publication)

    # What a client does

    def unreachable(self, client_id: str) -> str:
        """Why a client cannot connect now; empty if it can."""
        if not self._running:
            return "nobody listens"
        return "the client is cut off" if client_id in self._isolated else ""

    def banned(self, client_id: str) -> str:
        """Why a client is refused; empty if it is not."""
        return self._banned.get(client_id, "")

    def attach(self, client: MemoryClient, client_id: str, *, will: Publication | None, expiry_s: int) -> tuple[MemorySession, bool]:
        """Connect: the session, and whether it was there before."""
        session = self._sessions.get(client_id)
        if session is not None:
            self._break(session, "another client took the session over", publish_will=True)
            session = self._sessions.get(client_id)
        now_s = asyncio.get_running_loop().time()
        present = session is not None and expiry_s > 0 and now_s - session.left_at_s <= session.expiry_s
        if session is None or not present:
            self._remove(client_id)
            session = self._sessions[client_id] = MemorySession(client_id)
        session.client, session.will, session.expiry_s = client, will, expiry_s
        session.connection += 1
        session.due_s = now_s
        session.queue.extendleft(reversed(session.unconfirmed.values()))
        session.unconfirmed.clear()
        for _ in session.queue:
            self._schedule(session)
        return session, present

    def detach(self, session: MemorySession) -> None:
        """Disconnect cleanly."""
        session.will = None
        self._leave(session)

    def accept(self, session: MemorySession, publication: Publication) -> str | None:
        """Take a message from a client: a reason if it is refused, None if the connection broke before it could be confirmed."""
        broken = self._breaks()
        if broken and self.random.random() < 0.5:  # noqa: PLR2004 - lost before or after it arrived, evenly
            self._break(session, "the connection was cut", publish_will=True)
            return None
        refusal = self._refuses_publication(session.client_id, publication.topic) if self._refuses_publication else ""
        if not refusal:
            self._route(publication, session)
        if broken:
            self._break(session, "the connection was cut", publish_will=True)
            return None
        return refusal

    def subscribe(self, session: MemorySession, topic_filter: str, qos: int, *, not_ours: bool = False) -> str:
        """Take a subscription and send what is retained; a reason if it is refused. `not_ours` wants no copy of its own messages."""
        if topic_filter.startswith("$share/"):
            return "there are no shared subscriptions here"
        refusal = self._refuses_subscription(session.client_id, topic_filter) if self._refuses_subscription else ""
        if refusal:
            return refusal
        self.unsubscribe(session, topic_filter)
        subscription = session.subscriptions[topic_filter] = _Subscription(session, qos, not_ours)
        self._router.add(TopicFilter(text=topic_filter, subscription=topic_filter), subscription)
        levels = topic_filter.split("/")
        for topic, publication in self._retained_now():
            if covers(levels, topic.split("/")):
                self._queue(session, publication, min(qos, publication.qos), retained=True)
        return ""

    def unsubscribe(self, session: MemorySession, topic_filter: str) -> None:
        """Give a subscription up."""
        subscription = session.subscriptions.pop(topic_filter, None)
        if subscription is not None:
            self._router.discard(subscription)

    def confirm(self, session: MemorySession, packet_id: int) -> None:
        """The client confirms a delivery."""
        session.unconfirmed.pop(packet_id, None)

    # Inside

    def _route(self, publication: Publication, publisher: MemorySession | None = None) -> None:
        if publication.retain:
            deadline_s = self._deadline_s(publication)
            self._retained.pop(publication.topic, None)
            if publication.payload:
                self._retained[publication.topic] = (publication, deadline_s)
        heard: dict[MemorySession, int] = {}
        for subscription, _ in self._router.match(publication.topic):
            if subscription.not_ours and subscription.session is publisher:
                continue
            heard[subscription.session] = max(subscription.qos, heard.get(subscription.session, 0))
        for session, qos in heard.items():
            self._queue(session, publication, min(qos, publication.qos), retained=False)

    def _queue(self, session: MemorySession, publication: Publication, qos: int, *, retained: bool) -> None:
        if session.client is None and (qos == 0 or len(session.queue) >= self._queue_max):
            self.dropped += qos
            return
        delivery = _Delivery(structs.replace(publication, qos=qos), qos, retained, self._deadline_s(publication))
        session.queue.append(delivery)
        if session.client is not None:
            self._schedule(session)

    def _schedule(self, session: MemorySession) -> None:
        """Have the message that is then the next delivered, in a turn of its own."""
        loop = asyncio.get_running_loop()
        delay_s = self.random.random() * self.faults.delay_s_max
        session.due_s = max(session.due_s, loop.time() + delay_s)
        if delay_s or session.due_s > loop.time():
            loop.call_at(session.due_s, self._deliver, session, session.connection)
        else:
            loop.call_soon(self._deliver, session, session.connection)

    def _deliver(self, session: MemorySession, connection: int) -> None:
        client = session.client
        if client is None or session.connection != connection:
            return
        if self._breaks():
            self._break(session, "the connection was cut", publish_will=True)
            return
        delivery = session.queue.popleft()
        if delivery.deadline_s is not None and delivery.deadline_s <= asyncio.get_running_loop().time():
            self.dropped += 1
            return
        if delivery.qos:
            session.last_packet_id += 1
            delivery.packet_id = session.last_packet_id
            session.unconfirmed[delivery.packet_id] = delivery
        client.deliver(delivery.publication, delivery.retained, delivery.packet_id)

    def _breaks(self) -> bool:
        return self.faults.cut_rate > 0 and self.random.random() < self.faults.cut_rate

    def _break(self, session: MemorySession, reason: str, *, publish_will: bool) -> None:
        client, will = session.client, session.will
        if client is None:
            return
        self._leave(session)
        client.cut(reason)
        if publish_will and will is not None:
            self._route(will)

    def _leave(self, session: MemorySession) -> None:
        session.client = None
        session.will = None
        session.left_at_s = asyncio.get_running_loop().time()
        session.queue = deque(delivery for delivery in session.queue if delivery.qos)
        if session.expiry_s == 0:
            self._remove(session.client_id)

    def _remove(self, client_id: str) -> None:
        session = self._sessions.pop(client_id, None)
        if session is not None:
            for topic_filter in list(session.subscriptions):
                self.unsubscribe(session, topic_filter)

    def _retained_now(self) -> Iterator[tuple[str, Publication]]:
        now_s = asyncio.get_running_loop().time()
        for topic, (publication, deadline_s) in list(self._retained.items()):
            if deadline_s is not None and deadline_s <= now_s:
                del self._retained[topic]
            else:
                yield topic, publication

    @staticmethod
    def _deadline_s(publication: Publication) -> float | None:
        if publication.expiry_s is None:
            return None
        return asyncio.get_running_loop().time() + publication.expiry_s
