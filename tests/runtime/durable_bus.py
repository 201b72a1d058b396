"""An MQTT broker in virtual time that may lose whatever a broker may lose, and hosts' ends of the connections to it.

Order holds on each way of each connection, and nowhere else. What is sent takes a drawn while, PUBACKs and subscriptions too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from msgspec import structs

from edgematrix.protocol.codec import encode_value
from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.message import Publication
from edgematrix.protocol.overlap import covers
from edgematrix.protocol.router import Router
from edgematrix.transport.memory import MemoryTransport
from edgematrix.transport.memory_bus import Faults
from edgematrix.transport.outbox import Waiting
from edgematrix.transport.owner import Owner
from edgematrix.transport.settings import Settings
from edgematrix.transport.tally import Tally


@dataclass(frozen=True)
class Trouble:
    """What goes wrong on the way.

    `delay_us`: how long a packet takes at most on each of its two ways. `lost`: how often (0 to 1) the broker loses a QoS 1 message
    that it has acknowledged, for one receiver; never one that is retained, for who is there is told once. `twice`: how often it
    delivers one twice. `notices_us`: how long it takes at most to see that a client is gone.
    """

    delay_us: int = 0
    lost: float = 0.0
    twice: float = 0.0
    notices_us: int = 0


class Connection:
    """Both ways between a client and the broker. It outlives either end, until the other one notices."""

    def __init__(self, session: BusSession, client: Line) -> None:
        self.session = session
        self.client: Line | None = client
        """None: it is dead."""
        self.is_deaf = False
        """Whether nothing reaches the client, which does not know."""
        self.is_broken = False
        self.up_us = self.down_us = 0
        self.up_end_us: int | None = None
        """When the last of what was sent arrives, where the client is dead or cut off."""


class BusSession:
    """What the broker knows of one client."""

    def __init__(self, client_id: str) -> None:
        self.client_id = client_id
        self.connection: Connection | None = None
        self.will: Publication | None = None
        self.is_lasting = False
        self.subscriptions: dict[str, Subscription] = {}
        self.queue: deque[tuple[Publication, bool]] = deque()
        self.unconfirmed: dict[int, tuple[Publication, bool]] = {}
        self.last_packet_id = 0


@dataclass(eq=False)
class Subscription:
    session: BusSession
    qos: int
    not_ours: bool


class Line(MemoryTransport):
    """A host's end of its connection.

    Args:
        inside: calls a function as something that happens on the host's event loop.
        failed: told what the owner raised.
    """

    def __init__(self, bus: Bus, settings: Settings, inside: Callable[[Callable[[], object]], None], failed: Callable[[str], None]) -> None:
        super().__init__(bus, settings)  # type: ignore[arg-type]
        self.inside = inside
        self.settings = settings
        self._carrier = bus
        self._is_dead = False
        told = lambda what, about: failed(f"{settings.client_id}: {what} about {about}")  # noqa: E731 - it is of this line
        self._owner = LineOwner(self._tally, lambda: self._is_dead, told)

    def die(self) -> None:
        """Send nothing any more, whatever the owner says."""
        self._is_dead = True
        self._session = None

    def publish(self, publication: Publication) -> None:
        if not self._is_dead:
            super().publish(publication)

    def acknowledge(self, receipt: int) -> None:
        if not self._is_dead:
            super().acknowledge(receipt)

    def confirmed(self, packet_id: int) -> None:
        """A PUBACK has come."""
        waiting = self._outbox.acknowledged(packet_id)
        if waiting is not None:
            self._tally.confirmed += 1
            self._confirm(waiting.publication)
            self._drain()

    def granted(self, filters: Mapping[str, int]) -> None:
        """A SUBACK has come."""
        for topic_filter in filters:
            self._subscriptions.grant(topic_filter)

    def _send(self, session: Any, waiting: Waiting) -> None:
        self._tally.sent += 1
        self._carrier.publish(session, waiting.publication, waiting.packet_id)

    def _tell_bus(self) -> None:
        session: Any = self._session
        if session is not None and not self._is_dead:
            plan = self._subscriptions.plan()
            self._carrier.ask(session, plan.subscribe, plan.unsubscribe, self.settings.not_ours)


class LineOwner(Owner):
    """The owner of a line. What it raises while it lives is an error of the program.

    Args:
        is_dead: whether its host was killed.
        told: called with what was to be told, and about what.
    """

    __slots__ = ("_is_dead", "_told")

    def __init__(self, tally: Tally, is_dead: Callable[[], bool], told: Callable[[str, str], None]) -> None:
        super().__init__(tally, None)
        self._is_dead = is_dead
        self._told = told

    def failed(self, what: str, about: str) -> None:
        if not self._is_dead():
            super().failed(what, about)
            self._told(what, about)


class Bus:
    """The broker.

    Args:
        at: calls a function when a moment has come.
    """

    def __init__(self, random: Random, trouble: Trouble, now_us: Callable[[], int], at: Callable[[int, Callable[[], None]], None]) -> None:
        self.random = random
        self.trouble = trouble
        self.faults = Faults()
        self.heard: list[Callable[[str, Publication], None]] = []
        """Called with each publication that arrives, and whose it is."""
        self.asked: list[Callable[[str, str], None]] = []
        """Called with each filter that is asked for, and by whom."""
        self.lost = self.twice = 0
        self._now_us = now_us
        self._at = at
        self._is_running = True
        self._isolated: set[str] = set()
        self._sessions: dict[str, BusSession] = {}
        self._retained: dict[str, Publication] = {}
        self._router: Router[Subscription] = Router()

    # What a test does to it

    def stop(self, *, forget: bool) -> None:
        """It dies. With `forget` it has kept nothing of what it knew."""
        self._is_running = False
        for session in list(self._sessions.values()):
            self._break(session, publish_will=False)
        if forget:
            self._sessions.clear()
            self._retained.clear()
            self._router = Router()

    def start(self) -> None:
        """It is back."""
        self._is_running = True

    def say(self, topic: str, value: object) -> None:
        """Some device publishes something."""
        if self._is_running:
            self._route(Publication(topic, encode_value(value), 1))

    def isolate(self, client_id: str, *, is_noticed: bool) -> None:
        """The network of a client breaks. Where nobody notices, what either side sends is lost until somebody does."""
        self._isolated.add(client_id)
        session = self._sessions.get(client_id)
        if session is not None and session.connection is not None:
            if is_noticed:
                self._break(session, publish_will=True)
            else:
                session.connection.is_deaf = True
                session.connection.up_end_us = self._now_us()

    def restore(self, client_id: str) -> None:
        """It is whole again; what stood before does not."""
        self._isolated.discard(client_id)
        session = self._sessions.get(client_id)
        if session is not None and session.connection is not None:
            self._break(session, publish_will=True)

    def bury(self, client_id: str) -> None:
        """A client is dead; some of the last that it sent may arrive still."""
        session = self._sessions.get(client_id)
        if session is None or session.connection is None:
            return
        connection = session.connection
        connection.client = None
        connection.up_end_us = self._now_us() + self.random.randrange(2 * self.trouble.delay_us + 1)
        noticed_us = self._now_us() + self.random.randrange(self.trouble.notices_us + 1)
        self._at(max(noticed_us, connection.up_end_us), lambda: self._drop(connection))

    # What a client does (`MemoryTransport`)

    def unreachable(self, client_id: str) -> str:
        if not self._is_running:
            return "nobody listens"
        return "the client is cut off" if client_id in self._isolated else ""

    def banned(self, client_id: str) -> str:
        return ""

    def attach(self, client: Line, client_id: str, *, will: Publication | None, expiry_s: int) -> tuple[BusSession, bool]:
        session = self._sessions.get(client_id)
        if session is not None and session.connection is not None:
            self._break(session, publish_will=True)
            session = self._sessions.get(client_id)
        present = session is not None
        if session is None:
            session = self._sessions[client_id] = BusSession(client_id)
        session.connection = Connection(session, client)
        session.will, session.is_lasting = will, expiry_s > 0
        waiting = [*session.unconfirmed.values(), *session.queue]
        session.unconfirmed.clear()
        session.queue.clear()
        for publication, retained in waiting:
            self._deliver(session, publication, retained=retained)
        return session, present

    def publish(self, session: BusSession, publication: Publication, packet_id: int) -> None:
        self._up(session, lambda: self._take(session, publication, packet_id))

    def ask(self, session: BusSession, wanted: Mapping[str, int], unwanted: list[str], not_ours: frozenset[str]) -> None:
        if wanted or unwanted:
            self._up(session, lambda: self._subscribe(session, wanted, unwanted, not_ours))

    def confirm(self, session: BusSession, packet_id: int) -> None:
        def confirmed() -> None:
            session.unconfirmed.pop(packet_id, None)

        self._up(session, confirmed)

    # Inside

    def _drawn_us(self) -> int:
        return self._now_us() + (self.random.randrange(self.trouble.delay_us + 1) if self.trouble.delay_us else 0)

    def _up(self, session: BusSession, arrives: Callable[[], None]) -> None:
        connection = session.connection
        if connection is None:
            return
        due_us = connection.up_us = max(connection.up_us, self._drawn_us())

        def arrived() -> None:
            end_us = connection.up_end_us
            if not connection.is_broken and (end_us is None or due_us <= end_us):
                arrives()

        self._at(due_us, arrived)

    def _down(self, connection: Connection, arrives: Callable[[Line], None]) -> None:
        due_us = connection.down_us = max(connection.down_us, self._drawn_us())

        def arrived() -> None:
            client = connection.client
            if client is not None and not connection.is_broken and not connection.is_deaf:
                client.inside(lambda: arrives(client))

        self._at(due_us, arrived)

    def _take(self, session: BusSession, publication: Publication, packet_id: int) -> None:
        for hears in self.heard:
            hears(session.client_id, publication)
        self._route(publication, session)
        connection = session.connection
        if packet_id and connection is not None:
            self._down(connection, lambda client: client.confirmed(packet_id))

    def _route(self, publication: Publication, publisher: BusSession | None = None) -> None:
        if publication.retain:
            self._retained.pop(publication.topic, None)
            if publication.payload:
                self._retained[publication.topic] = publication
        heard: dict[BusSession, int] = {}
        for subscription, _ in self._router.match(publication.topic):
            if not (subscription.not_ours and subscription.session is publisher):
                heard[subscription.session] = max(subscription.qos, heard.get(subscription.session, 0))
        for session, qos in heard.items():
            copy = structs.replace(publication, qos=min(qos, publication.qos))
            if copy.qos and not copy.retain and self.trouble.lost and self.random.random() < self.trouble.lost:
                self.lost += 1
                continue
            self._deliver(session, copy, retained=False)
            if copy.qos and self.trouble.twice and self.random.random() < self.trouble.twice:
                self.twice += 1
                self._at(self._drawn_us(), lambda session=session, copy=copy: self._deliver(session, copy, retained=False))

    def _deliver(self, session: BusSession, publication: Publication, *, retained: bool) -> None:
        connection = session.connection
        if connection is None:
            if publication.qos and session.is_lasting:
                session.queue.append((publication, retained))
            return
        packet_id = 0
        if publication.qos:
            packet_id = session.last_packet_id = session.last_packet_id + 1
            session.unconfirmed[packet_id] = (publication, retained)
        self._down(connection, lambda client: client.deliver(publication, retained, packet_id))

    def _subscribe(self, session: BusSession, wanted: Mapping[str, int], unwanted: list[str], not_ours: frozenset[str]) -> None:
        for topic_filter in wanted:
            for hears in self.asked:
                hears(session.client_id, topic_filter)
        for topic_filter in (*unwanted, *wanted):
            older = session.subscriptions.pop(topic_filter, None)
            if older is not None:
                self._router.discard(older)
        for topic_filter, qos in wanted.items():
            subscription = session.subscriptions[topic_filter] = Subscription(session, qos, topic_filter in not_ours)
            self._router.add(TopicFilter(text=topic_filter, subscription=topic_filter), subscription)
            levels = topic_filter.split("/")
            for topic, publication in list(self._retained.items()):
                if covers(levels, topic.split("/")):
                    self._deliver(session, structs.replace(publication, qos=min(qos, publication.qos)), retained=True)
        if session.connection is not None:
            self._down(session.connection, lambda client: client.granted(wanted))

    def _drop(self, connection: Connection) -> None:
        """The broker notices that nobody is there."""
        if connection.session.connection is connection:
            self._break(connection.session, publish_will=True)

    def _break(self, session: BusSession, *, publish_will: bool) -> None:
        connection, will = session.connection, session.will
        if connection is None:
            return
        connection.is_broken = True
        session.connection = session.will = None
        session.queue.extendleft(reversed(session.unconfirmed.values()))
        session.unconfirmed.clear()
        if not session.is_lasting:
            self._sessions.pop(session.client_id, None)
            for subscription in session.subscriptions.values():
                self._router.discard(subscription)
        self._ended(connection)
        if publish_will and will is not None:
            self._route(will)

    def _ended(self, connection: Connection) -> None:
        client = connection.client
        if client is not None:
            client.inside(lambda: client.cut("the connection is cut") if client._session is connection.session else None)
