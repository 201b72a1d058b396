"""A node's side of the bus: a connection of its own, with its own will, as long as its session lasts."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from edgematrix.errors import CodecError, EdgeMatrixError
from edgematrix.protocol.agent_state import agent_state
from edgematrix.protocol.codec import decode, encode_value
from edgematrix.protocol.message import Publication
from edgematrix.protocol.moment import format_moment
from edgematrix.protocol.ports import Clock
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.transport.endpoint import Endpoint
from edgematrix.transport.paho import PahoTransport
from edgematrix.transport.settings import Settings
from firmware_bridge.counted import counted
from firmware_bridge.mqtt_sn.delivery import Letter
from firmware_bridge.mqtt_sn.effect import Attach, Detach, Effect, Listen, Send, Tell, ToBroker, Unlisten
from firmware_bridge.mqtt_sn.node import Identity, Node
from firmware_bridge.mqtt_sn.rules import Rules
from firmware_bridge.mqtt_sn.topic_ids import KnownTopics
from firmware_bridge.receipts import Finished, Receipts

__all__ = ["NodePlace", "Post"]

_SESSION_EXPIRY_S = 86_400
"""How long the broker keeps messages for a node that keeps its session."""
_OUTBOX_MAX = 1_000
_SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class NodePlace:
    """A node: who it is, and how the broker is reached as it."""

    identity: Identity
    endpoint: Endpoint


class Post:
    """Does what a node's session wants, and tells it what the broker says.

    Args:
        place: who the node is.
        send: sends the node a datagram.
        settled: is called when something is due at another moment.
        told: hears each change in a sentence.
    """

    def __init__(
        self,
        place: NodePlace,
        root: str,
        rules: Rules,
        known: KnownTopics,
        clock: Clock,
        send: Callable[[bytes], None],
        settled: Callable[[], None],
        told: Callable[[str], None],
    ) -> None:
        identity, endpoint = place.identity, place.endpoint
        self._path = identity.path
        self._endpoint = endpoint
        self._rules = rules
        self._clock = clock
        self._send = send
        self._settled = settled
        self._told = told
        self._client_id = endpoint.client_id or identity.path.replace("/", ":")
        self._session = secrets.token_hex(8)
        self._line: _Line | None = None
        self._changing: asyncio.Task[None] | None = None
        self.node = Node(identity, rules, known, topic_for(root, Kind.STATE, identity.path), self._state)

    def settle(self) -> None:
        """Do all that the node's session wants."""
        node = self.node
        while node.effects:
            effects, node.effects[:] = node.effects[:], []
            for effect in effects:
                self._do(effect)
        self._settled()

    async def end(self) -> None:
        """Say goodbye, and wait until the broker has heard it."""
        self.node.stop()
        self.settle()
        if self._changing is not None:
            await asyncio.wait({self._changing})

    def _do(self, effect: Effect) -> None:
        line = self._line
        if isinstance(effect, Send):
            self._send(effect.datagram)
        elif isinstance(effect, Attach):
            self._attach(effect)
        elif isinstance(effect, Detach):
            self._line = None
            self._change(line, None, clean=effect.clean)
        elif isinstance(effect, Tell):
            self._told(effect.text)
        elif line is None:
            return
        elif isinstance(effect, ToBroker):
            self._publish(line, effect)
        elif isinstance(effect, Listen):
            line.transport.subscribe({effect.filter: effect.qos})
        elif isinstance(effect, Unlisten):
            line.transport.unsubscribe([effect.filter])
        elif isinstance(effect, Finished):
            line.finish(effect.receipt)

    def _attach(self, wish: Attach) -> None:
        will = wish.will
        settings = Settings(
            client_id=self._client_id,
            will=None if will is None else Publication(will.topic, will.payload, will.qos, retain=will.retain),
            session_expiry_s=0 if wish.clean else _SESSION_EXPIRY_S,
            acks_held=True,
            receive_max=self._rules.waiting_max,
            outbox_messages_max=_OUTBOX_MAX,
        )
        before, self._line = self._line, _Line(self, _Transport(self._endpoint, settings))
        self._change(before, self._line, clean=True)

    def _change(self, before: _Line | None, after: _Line | None, *, clean: bool) -> None:
        """End one connection, then begin another; one change after the other."""
        self._changing = asyncio.create_task(_changed(self._changing, before, after, clean=clean))

    def _publish(self, line: _Line, effect: ToBroker) -> None:
        try:
            line.transport.publish(Publication(effect.topic, effect.payload, effect.qos, retain=effect.retain, number=effect.number))
        except EdgeMatrixError as error:
            self.node.counts["undelivered"] += 1
            self._told(f"{self._path}: {error}")

    def _state(self, status: str) -> bytes:
        """What is retained on the node's `state`; of a will nobody knows beforehand when it is published."""
        since = None if status == "offline" else format_moment(self._clock.wall_us())
        state = agent_state(status, self._client_id, self._session, since)
        if status != "offline":
            state["gateway"] = {"counts": counted(self.node.counts)}
        return encode_value(state)

    # What a connection tells

    def received(self, line: _Line, topic: str, payload: bytes, qos: int, retained: bool) -> None:
        """A message for the node."""
        receipt = line.took() if qos else 0
        now_us = self._clock.now_us()
        self.node.message(Letter(topic, payload, min(qos, 1), retained, receipt, self._expiry_us(topic, payload, now_us)), now_us)
        self.settle()

    def connected(self, line: _Line, *, session_present: bool) -> None:
        """The broker took the node in."""
        if line is self._line:
            self.node.attached(self._clock.now_us(), session_present=session_present)
            self.settle()

    def refused(self, line: _Line, error: EdgeMatrixError) -> None:
        """The broker wants no such client."""
        if line is self._line:
            self._told(f"{self._path}: {error}")
            self.node.refused(self._clock.now_us())
            self._line = None
            self.settle()

    def granted(self, line: _Line, topic_filter: str, refusal: str) -> None:
        """The broker has answered to a subscription."""
        if line is self._line:
            self.node.granted(topic_filter, refusal)
            self.settle()

    def confirmed(self, number: int) -> None:
        """The broker has what the node published."""
        self.node.confirmed(number)
        self.settle()

    def lost(self, text: str) -> None:
        """A message, a subscription or the connection is lost."""
        self._told(f"{self._path}: {text}")

    def _expiry_us(self, topic: str, payload: bytes, now_us: int) -> int:
        latest_us = now_us + self._rules.waiting_s_max * _SECOND_US
        try:
            wall_us = decode(topic, payload).trail.expiry_us
        except CodecError:
            wall_us = None  # it is the node's to judge
        return latest_us if wall_us is None else self._clock.from_wall_us(wall_us)


class _Transport(PahoTransport):
    """Tells of subscriptions that the broker has granted, too."""

    answered: Callable[[str, str], None] = staticmethod(lambda _filter, _refusal: None)

    def subscribed(self, topic_filter: str, refusal: str) -> None:
        """One filter was answered."""
        super().subscribed(topic_filter, refusal)
        self.answered(topic_filter, refusal)


class _Line:
    """One connection of a node, and the link that its transport tells."""

    def __init__(self, post: Post, transport: _Transport) -> None:
        self.transport = transport
        transport.answered = lambda topic_filter, refusal: post.granted(self, topic_filter, refusal)
        self._post = post
        self._running: asyncio.Task[None] | None = None
        self._receipts = Receipts()

    def start(self) -> None:
        self._running = asyncio.create_task(self._run())

    async def stop(self, *, clean: bool) -> None:
        """Leave in order; or break off, so that the broker publishes the will."""
        if self._running is None:
            return
        if clean:
            await self.transport.close()
        self._running.cancel()
        with suppress(asyncio.CancelledError):
            await self._running

    async def _run(self) -> None:
        try:
            await self.transport.run(self)
        except EdgeMatrixError as error:
            self._post.refused(self, error)

    def took(self) -> int:
        """The receipt of the message that came now."""
        receipt = self.transport.receipt
        self._receipts.took(receipt)
        return receipt

    def finish(self, receipt: int) -> None:
        """Tell the broker of all that is finished up to the first that is not."""
        last = self._receipts.finish(receipt)
        if last:
            self.transport.acknowledge(last)

    # What the transport tells

    def received(self, topic: str, payload: bytes, qos: int, retained: bool) -> None:
        self._post.received(self, topic, payload, qos, retained)

    def connected(self, session_present: bool) -> None:
        self._receipts.clear()
        self._post.connected(self, session_present=session_present)

    def disconnected(self, reason: str) -> None:
        self._post.lost(f"the broker is away: {reason}")

    def refused(self, topic_filter: str, reason: str) -> None:
        self._post.lost(f"the broker refuses {topic_filter}: {reason}")

    def dropped(self, topic: str, reason: str) -> None:
        self._post.lost(f"a message on {topic} is lost: {reason}")

    def confirmed(self, number: int) -> None:
        self._post.confirmed(number)


async def _changed(before: asyncio.Task[None] | None, old: _Line | None, new: _Line | None, *, clean: bool) -> None:
    if before is not None:
        await asyncio.wait({before})
    if old is not None:
        await old.stop(clean=clean)
    if new is not None:
        new.start()
