"""What goes out: straight to the socket where nothing waits, else through the outbox."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from edgematrix.errors import TopicError, UsageError
from edgematrix.protocol.message import Publication
from edgematrix.protocol.topic import check_topic
from edgematrix.transport.carrier import Carrier
from edgematrix.transport.frame import publish, topic_field
from edgematrix.transport.outbox import Outbox, Waiting
from edgematrix.transport.refusal import refusal
from edgematrix.transport.session import Greeting, puback_reason
from edgematrix.transport.settings import Settings
from edgematrix.transport.tally import Tally

__all__ = ["Sender"]

_TOPICS_MAX = 20_000
_TOPIC_BYTES_MAX = 65_537
_FLUSH_BYTES = 65_536
_REFUSAL = 0x80
_OVERHEAD_BYTES = 16
"""At most: first byte and length 5, packet identifier 2, properties with an expiry 6."""
_NO_PROPERTIES = b"\x00"
_EXPIRY = b"\x05\x02"


class Sender:
    """Publishes over whatever connection there is.

    Args:
        settings: the bounds.
        tally: counts.
        drop: is told what was given up, and why.
        confirm: is told the number of what the broker has, or will never take.
        now_s: a clock that never goes back.
    """

    def __init__(
        self,
        settings: Settings,
        tally: Tally,
        drop: Callable[[Publication, str], None],
        confirm: Callable[[int], None],
        now_s: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._tally = tally
        self._drop = drop
        self._confirm = confirm
        self._now_s = now_s
        self._outbox = Outbox(
            messages_max=settings.outbox_messages_max, bytes_max=settings.outbox_bytes_max, window_max=settings.inflight_max
        )
        self._topics: dict[str, bytes] = {}
        self._carrier: Carrier | None = None
        self._greeting: Greeting | None = None
        self._v5 = True
        self._empty = b""
        self._direct_bytes_max = -1
        self._ended = False
        self._flushed: asyncio.Future[None] | None = None

    def publish(self, publication: Publication) -> None:
        """Send, or queue; see `Transport.publish`."""
        topic = self._topics.get(publication.topic)
        if topic is None:
            topic = self._topic(publication.topic)
        payload = publication.payload
        if publication.qos or publication.expiry_s is not None or len(payload) > self._direct_bytes_max:
            self._queue(publication)
            return
        carrier = self._carrier
        assert carrier is not None  # noqa: S101 - else nothing is sent directly
        out = carrier.out
        publish(out, publication.retain, topic, self._empty, payload)
        self._tally.sent += 1
        if len(out) > _FLUSH_BYTES:
            carrier.flush()
            self._look()
        else:
            carrier.schedule()

    def opened(self, carrier: Carrier, greeting: Greeting, *, v5: bool) -> None:
        """A connection stands: send what waits."""
        self._carrier = carrier
        self._greeting = greeting
        self._v5 = v5
        self._empty = _NO_PROPERTIES if v5 else b""
        self._outbox.opened(window=greeting.window, session_present=greeting.session_present)
        self.drain()

    def lost(self, *, soon: bool) -> None:
        """The connection is gone; `soon`: shortly after it stood."""
        self._carrier = None
        self._greeting = None
        self._direct_bytes_max = -1
        for perished in self._outbox.perish():
            self._tally.expired += 1
            self._give_up(perished, "the connection broke before it was sent, or before the broker confirmed it")
        given_up = self._outbox.lost(soon=soon)
        if given_up is not None:
            self._tally.poisonous += 1
            self._give_up(given_up, "the connection broke each time that it was sent")

    def end(self) -> None:
        """There will be no connection any more: what is left is dropped, and so is what comes."""
        self._ended = True
        for publication in self._outbox.drain():
            self._tally.unsent += 1
            self._drop(publication, "the connection was closed before it was sent, or before the broker confirmed it")

    def acknowledged(self, packet_id: int, reason: int) -> None:
        """A PUBACK came in."""
        waiting = self._outbox.acknowledged(packet_id)
        if waiting is None:
            return
        if reason >= _REFUSAL:
            self._tally.rejected += 1
            self._give_up(waiting.publication, refusal(puback_reason(reason)))
        else:
            self._tally.confirmed += 1
            if waiting.publication.number:
                self._confirm(waiting.publication.number)
        self.drain()

    def drain(self) -> None:
        """Send what waits, as far as the window and the socket allow."""
        carrier, greeting, outbox = self._carrier, self._greeting, self._outbox
        if carrier is None or greeting is None:
            return
        while not carrier.full and (waiting := outbox.take_assured() or outbox.take_best_effort()) is not None:
            self._send(carrier, greeting, waiting)
        self._look()
        if self._flushed is not None and outbox.idle and not self._flushed.done():
            self._flushed.set_result(None)

    async def flushed(self) -> None:
        """Wait until nothing waits any more, neither to be sent nor for a PUBACK."""
        self.drain()
        if not self._outbox.idle:
            self._flushed = asyncio.get_running_loop().create_future()
            await self._flushed

    def _look(self) -> None:
        """How large a payload may go straight to the socket: none, unless nothing is before it."""
        carrier, greeting = self._carrier, self._greeting
        if carrier is None or greeting is None or carrier.full or self._outbox.best_effort_waits or not greeting.retain:
            self._direct_bytes_max = -1
        else:
            self._direct_bytes_max = greeting.packet_bytes_max - _TOPIC_BYTES_MAX - _OVERHEAD_BYTES

    def _topic(self, topic: str) -> bytes:
        check_topic(topic)
        refused = next((character for character in self._settings.characters_refused if character in topic), None)
        if refused is not None:
            raise TopicError(f"topic {topic[:120]!r} holds {refused!r}, which this broker does not carry")
        if len(self._topics) >= _TOPICS_MAX:
            self._topics.clear()
        field = self._topics[topic] = topic_field(topic)
        return field

    def _queue(self, publication: Publication) -> None:
        if publication.qos not in (0, 1):
            raise UsageError(f"QoS {publication.qos} is not 0 or 1", where=publication.topic)
        if self._ended:
            self._tally.unsent += 1
            self._drop(publication, "the connection is closed")
            return
        if publication.fresh_s is not None and self._carrier is None:
            self._tally.expired += 1
            self._give_up(publication, "there is no connection, and it may not wait for one")
            return
        for dropped in self._outbox.put(publication, self._now_s()):
            self._tally.queue_dropped += 1
            self._drop(dropped, "the queue is full")
        self.drain()

    def _send(self, carrier: Carrier, greeting: Greeting, waiting: Waiting) -> None:
        publication, now_s = waiting.publication, self._now_s()
        topic = self._topics.get(publication.topic) or self._topic(publication.topic)
        if waiting.deadline_s is not None and waiting.deadline_s <= now_s:
            self._tally.expired += 1
            self._withdraw(waiting, "it expired while it waited to be sent")
            return
        if waiting.stale_s is not None and waiting.stale_s <= now_s:
            self._tally.expired += 1
            self._withdraw(waiting, "it waited too long to be sent")
            return
        refused = _refusal(publication, len(topic), greeting)
        if refused:
            self._tally.rejected += 1
            self._withdraw(waiting, refused)
            return
        middle = waiting.packet_id.to_bytes(2, "big") if waiting.packet_id else b""
        if self._v5:
            middle += _properties(waiting.deadline_s, now_s)
        publish(carrier.out, publication.retain | publication.qos << 1 | waiting.sent << 3, topic, middle, publication.payload)
        self._tally.sent += 1
        if len(carrier.out) > _FLUSH_BYTES:
            carrier.flush()
        else:
            carrier.schedule()

    def _withdraw(self, waiting: Waiting, reason: str) -> None:
        self._outbox.withdraw(waiting)
        self._give_up(waiting.publication, reason)

    def _give_up(self, publication: Publication, reason: str) -> None:
        """Another attempt would not help."""
        self._drop(publication, reason)
        if publication.number and publication.qos:
            self._confirm(publication.number)


def _refusal(publication: Publication, topic_bytes: int, greeting: Greeting) -> str:
    """Why the broker would break the connection over this message, as far as it said so in its greeting."""
    if publication.retain and not greeting.retain:
        return "the broker retains no messages"
    if publication.qos > greeting.qos_max:
        return f"the broker takes no QoS {publication.qos}"
    if len(publication.payload) + topic_bytes + _OVERHEAD_BYTES > greeting.packet_bytes_max:
        return f"the broker takes packets of at most {greeting.packet_bytes_max} bytes"
    return ""


def _properties(deadline_s: float | None, now_s: float) -> bytes:
    if deadline_s is None:
        return _NO_PROPERTIES
    return _EXPIRY + min(0xFFFFFFFF, max(1, round(deadline_s - now_s))).to_bytes(4, "big")
