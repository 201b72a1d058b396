"""An MQTT connection that heals itself, on the event loop and without threads.

PUBLISH and PUBACK are written and cut here (`frame`), all other packets are paho's (`session`). Bytes are asyncio's
(`carrier`), when to connect is the state machine's (`connection`), what waits is in the `outbox`.
"""

from __future__ import annotations

import asyncio
import logging
import random as chance
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping

from edgematrix.errors import AccessRefusedError
from edgematrix.protocol.message import Publication
from edgematrix.protocol.ports import Link
from edgematrix.transport.carrier import Carrier
from edgematrix.transport.connection import Change, Connection, State, Version
from edgematrix.transport.endpoint import Endpoint
from edgematrix.transport.frame import Reader, puback
from edgematrix.transport.owner import Owner
from edgematrix.transport.sender import Sender
from edgematrix.transport.session import Greeting, Session
from edgematrix.transport.settings import Settings
from edgematrix.transport.subscriptions import Subscriptions
from edgematrix.transport.tally import Tally
from edgematrix.transport.tls_trouble import tls_trouble

__all__ = ["PahoTransport"]

_log = logging.getLogger(__name__)

_SOON_S = 5.0


class PahoTransport:
    """A `Transport` over MQTT 5, or 3.1.1 where the broker has no other.

    All methods are called on the event loop. Of a cluster's addresses the next is tried after each attempt that failed, and
    after each connection that broke.

    Args:
        endpoint: where the broker is.
        settings: how to present ourselves, and the bounds.
        observer: is told each change of the connection's state, once an outage.
        random: gives a number from 0 up to 1, for the waits between attempts.
        now_s: a clock that never goes back.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        settings: Settings,
        *,
        observer: Callable[[Change], None] | None = None,
        random: Callable[[], float] = chance.random,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._endpoint = endpoint
        self._settings = settings
        self._now_s = now_s
        self._address = 0
        """Counts the waits: which of the endpoint's addresses is connected to, or is tried next."""
        self._connection = Connection(settings.backoff, random, self._changed)
        self._subscriptions = Subscriptions(not_ours=settings.not_ours)
        self._tally = Tally()
        self._owner = Owner(self._tally, observer)
        self._sender = Sender(settings, self._tally, self._drop, self._safe, now_s)
        self._carrier: Carrier | None = None
        self._session: Session | None = None
        self._online = False
        self._receipt = 0
        self._held: deque[tuple[int, int]] = deque()
        self._step: asyncio.Task[None] | None = None
        self._ended: asyncio.Future[None] | None = None
        self._stopped = asyncio.Event()

    @property
    def state(self) -> State:
        """Where the connection stands."""
        return self._connection.state

    @property
    def version(self) -> Version:
        """The protocol version that is spoken, or is tried next."""
        return self._connection.version

    @property
    def receipt(self) -> int:
        """The number of the newest QoS 1 message handed to the link."""
        return self._receipt

    @property
    def peer_certificate(self) -> bytes | None:
        """The broker's certificate, DER; None without TLS, or while nobody is connected."""
        return None if self._carrier is None else self._carrier.peer_certificate()

    def counts(self) -> Mapping[str, int]:
        """What has been counted since the start, by name."""
        return self._tally.as_dict()

    async def run(self, link: Link) -> None:
        """Connect, and keep connected until `close`.

        Raises:
            AccessRefusedError: the broker refuses this client, and would again.
            UsageError: it runs already, or a certificate cannot be used.
        """
        self._owner.begin(link, str(self._endpoint))
        context = self._endpoint.ssl_context()
        connection = self._connection
        try:
            if connection.state is State.IDLE:
                connection.start()
            while not connection.ended:
                waiting = connection.state is State.WAITING
                step = self._step = asyncio.create_task(self._pause() if waiting else self._connect(context))
                await asyncio.wait({step})
                if not step.cancelled():
                    step.result()
        finally:
            self._finish()
        if connection.state is State.REFUSED:
            raise AccessRefusedError(
                f"the broker refuses the client {self._settings.client_id!r}: {connection.reason}",
                where=str(self._endpoint),
                remedy="check the user name, the password and the client id",
            )

    async def close(self) -> None:
        """Send what is queued, wait for its PUBACKs (bounded in time), disconnect cleanly, end `run`."""
        online = self._connection.state is State.ONLINE
        self._connection.close()
        carrier, session = self._carrier, self._session
        if online and carrier is not None and session is not None:
            try:
                async with asyncio.timeout(self._settings.close_timeout_s):
                    await self._sender.flushed()
                    session.farewell()
                    carrier.end()
                    await self._stopped.wait()
            except TimeoutError:
                carrier.abort(f"closing took longer than {self._settings.close_timeout_s} s")
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
        self._sender.publish(publication)

    def subscribe(self, filters: Mapping[str, int]) -> None:
        """Ask for these filters, each with QoS 0 or 1; kept, and asked for again whenever the broker lost the session.

        Raises:
            TopicError: a filter breaks the grammar; none is asked for.
            UsageError: a QoS is neither 0 nor 1.
        """
        self._subscriptions.add(filters)
        self._tell_broker()

    def unsubscribe(self, filters: Iterable[str]) -> None:
        """Ask for these no longer. Filters unknown here are given up too: a session may hold them from an earlier process."""
        self._subscriptions.remove(filters)
        self._tell_broker()

    def acknowledge(self, receipt: int) -> None:
        """Tell the broker that all up to `receipt` are safe."""
        while self._held and self._held[0][0] <= receipt:
            self._confirm(self._held.popleft()[1])

    def sever(self, reason: str) -> None:
        """Break the connection that stands, with all that is still on its way on it, and make a new one."""
        if self._carrier is not None:
            self._carrier.reset(reason)

    # What the reader cuts

    def published(self, topic: str, payload: bytes, head: int, packet_id: int, identifiers: tuple[int, ...]) -> None:
        """A message came in."""
        retained = head & 1
        subscriptions = self._subscriptions
        if retained:
            counts = subscriptions.accepts_retained(topic, payload)
        else:
            counts = subscriptions.plain or subscriptions.accepts(topic, identifiers)
        if not counts:
            self._tally.copies_ignored += 1
        else:
            self._tally.received += 1
            if packet_id:
                self._receipt += 1
            try:
                self._owner.link.received(topic, payload, head >> 1 & 3, retained == 1)  # type: ignore[union-attr]
            except Exception:  # noqa: BLE001 - whatever the owner does, the connection goes on
                self._owner.failed("received", topic)
        if packet_id:
            if self._held or (counts and self._settings.acks_held):
                self._held.append((self._receipt, packet_id))
            else:
                self._confirm(packet_id)

    def acknowledged(self, packet_id: int, reason: int) -> None:
        """A PUBACK came in."""
        self._sender.acknowledged(packet_id, reason)

    def unreadable(self, topic: str, reason: str, packet_id: int) -> None:
        """A message was thrown away while it came in; it is confirmed, or the broker would send it for ever."""
        self._tally.unreadable += 1
        self._owner.tell("dropped", topic, reason)
        if packet_id:
            self._confirm(packet_id)

    def other(self, frame: bytes) -> None:
        """Any other packet came in."""
        if self._session is not None:
            self._session.take(frame)

    # What the session hears

    def greeted(self, greeting: Greeting) -> None:
        """The broker took us in."""
        carrier = self._carrier
        assert carrier is not None  # noqa: S101 - the greeting came through it
        self._online = True
        self._tally.connections += 1
        self._connection.accepted(self._now_s())
        self._subscriptions.connected(session_present=greeting.session_present, identified=greeting.identified)
        self._tell_broker()
        self._sender.opened(carrier, greeting, v5=self._connection.version is Version.MQTT_5)
        self._owner.tell("connected", greeting.session_present)

    def turned_away(self, reason: str, *, version: bool, again: bool) -> None:
        """The broker did not take us in."""
        if version:
            self._connection.version_refused(reason)
        elif again:
            self._connection.turned_away(f"the broker turns us away: {reason}")
        else:
            self._connection.refused(reason)
        self._abort(reason)

    def subscribed(self, topic_filter: str, refusal: str) -> None:
        """One filter was answered."""
        if not refusal:
            self._subscriptions.grant(topic_filter)
            return
        for wanted in self._subscriptions.refuse(topic_filter):
            how = f" (asked for as {topic_filter!r}, for it overlaps with others: such a broker sends copies)"
            why = "" if wanted == topic_filter else how
            self._owner.tell("refused", wanted, f"{refusal}{why}")

    def broken(self, reason: str, *, again: bool) -> None:
        """The conversation cannot go on."""
        if not again and self._connection.state is State.ONLINE:
            self._leave()
            self._connection.refused(reason)
        self._abort(reason)

    # What the carrier tells

    def writable(self, carrier: Carrier) -> None:
        """The socket takes more."""
        if carrier is self._carrier:
            self._sender.drain()

    def gone(self, carrier: Carrier, reason: str) -> None:
        """The connection is gone."""
        if carrier is not self._carrier:
            return
        connection = self._connection
        if connection.state in (State.ONLINE, State.CLOSING):
            self._leave()
            connection.lost(reason, self._now_s())
        elif connection.state is State.GREETING:
            connection.failed(reason)
        if self._session is not None:
            self._session.end()
        self._carrier = None
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    # The steps of `run`

    async def _pause(self) -> None:
        await asyncio.sleep(self._connection.wait_s)
        self._address += 1
        self._connection.due()

    async def _connect(self, context: ssl.SSLContext | None) -> None:
        """One connection, from the socket to its end."""
        loop, settings, connection = asyncio.get_running_loop(), self._settings, self._connection
        endpoint = self._endpoint.at(self._address)
        reader = Reader(self, properties=connection.version is Version.MQTT_5, packet_bytes_max=settings.packet_bytes_max)
        carrier = self._carrier = Carrier(self, reader, silence_max_s=2 * settings.keepalive_s)
        ended = self._ended = loop.create_future()
        try:
            try:
                async with asyncio.timeout(settings.connect_timeout_s):
                    await loop.create_connection(lambda: carrier, endpoint.host, endpoint.port, ssl=context)
            except TimeoutError:
                connection.failed(f"no connection within {settings.connect_timeout_s} s")
                return
            except (OSError, UnicodeError) as error:
                connection.failed(_why_not(error))
                return
            connection.opened()
            session = self._session = Session(self, endpoint, settings, connection.version, carrier.write)
            session.greet()
            greeted_until_s = self._now_s() + settings.connect_timeout_s
            while not ended.done():
                await asyncio.wait({ended}, timeout=min(settings.connect_timeout_s, session.keepalive_s / 4))
                if connection.state is State.GREETING and self._now_s() >= greeted_until_s:
                    carrier.abort(f"no answer to CONNECT within {settings.connect_timeout_s} s")
                session.tick()
        finally:
            carrier.abort("the connection was given up")
            self._carrier = None
            self._session = None

    def _finish(self) -> None:
        if self._step is not None:
            self._step.cancel()
        if self._carrier is not None:
            self._carrier.abort("the connection was given up")
        self._connection.close()
        self._sender.end()
        self._stopped.set()

    def _leave(self) -> None:
        """The connection that stood stands no more."""
        self._online = False
        self._held.clear()
        self._sender.lost(soon=self._connection.online_for_s(self._now_s()) < _SOON_S)

    def _abort(self, reason: str) -> None:
        if self._carrier is not None:
            self._carrier.abort(reason)

    def _changed(self, change: Change) -> None:
        where = str(self._endpoint.at(self._address))
        if change.after is State.ONLINE:
            _log.info("%s: connected, MQTT %s", where, self._connection.version)
        self._owner.changed(change, where)

    # To the broker

    def _tell_broker(self) -> None:
        if not self._online or self._session is None:
            return
        plan = self._subscriptions.plan()
        if plan.subscribe:
            self._session.subscribe(plan.subscribe)
        if plan.unsubscribe:
            self._session.unsubscribe(plan.unsubscribe)

    def _confirm(self, packet_id: int) -> None:
        if self._carrier is not None:
            self._carrier.write(puback(packet_id))

    # To the owner

    def _drop(self, publication: Publication, reason: str) -> None:
        self._owner.tell("dropped", publication.topic, reason)

    def _safe(self, number: int) -> None:
        self._owner.tell("confirmed", number)


def _why_not(error: Exception) -> str:
    """Why no connection came about, in words."""
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there"
    if isinstance(error, socket.gaierror):
        return f"the host's name leads nowhere: {error.strerror}"
    return tls_trouble(error) or str(error) or type(error).__name__
