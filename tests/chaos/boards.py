"""What stands outside: a durable sender and a durable receiver, played by the harness, which is never killed."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable

from edgematrix.delivery.ack import Ack, encode_ack, read_ack
from edgematrix.delivery.edge import edge_of
from edgematrix.delivery.inbox import Inbox, Verdict
from edgematrix.delivery.outbox import Outbox
from edgematrix.protocol.codec import decode_event, decode_value, encode_event
from edgematrix.protocol.event import Event
from edgematrix.protocol.message import Publication
from edgematrix.protocol.moment import format_moment
from edgematrix.protocol.ports import Transport
from edgematrix.runtime.alarm import Alarm
from edgematrix.runtime.clock import SystemClock
from edgematrix.runtime.ids import id_maker

__all__ = ["FEED", "FEED_TOPIC", "FIRST", "SINK", "SINK_TOPIC", "Boards"]

ROOT, MATRIX = "em", "chaos"
FEED, SINK, FIRST = "chaos/feed", "chaos/sink", "chaos/line"
FEED_TOPIC, SINK_TOPIC = "em/out/chaos/feed/out", "em/in/chaos/sink/in"


class Boards:
    """`feed` and `sink` of the chain, over one connection; the link of its transport.

    Args:
        messages: how many numbers to send, from 1.
        window_max: how many may be under way between the two.
        came: told how many different numbers have come through, each time one comes.
    """

    def __init__(self, transport: Transport, *, messages: int, window_max: int, came: Callable[[int], None] = lambda count: None) -> None:
        self.messages = messages
        self.taken: Counter[int] = Counter()
        """How often each number was new to the sink."""
        self.sent = 0
        self.copies = 0
        """Events that came to the sink again, as they may; it dropped them."""
        self.early = 0
        """Events that came before one that was missing; it dropped them, and asked for that."""
        self.dead: list[str] = []
        """What hosts could not handle: topic and reason."""
        self.first_at_s = self.last_at_s = time.monotonic()
        """When the first and the newest number came to the sink."""
        self.is_deaf = False
        """Whether the sink takes nothing at present."""
        self._transport = transport
        self._window_max = window_max
        self._came = came
        self._clock = SystemClock()
        self._new_id = id_maker()
        self._session = self._new_id(self._clock.wall_us())
        touched: list[object] = []
        self._outbox = Outbox(touched.append, self._clock.wall_us() // 1_000, entries_max=messages + 1, bytes_max=1 << 30)
        self._inbox = Inbox(touched.append)
        self._feed_edge = edge_of(FEED, FEED_TOPIC, ROOT)
        self._outbox.define(self._feed_edge, FEED_TOPIC, frozenset((FIRST,)))
        self._alarm = Alarm(self._clock, self._pump)
        self._is_linked = False
        self._is_due = False
        transport.subscribe({f"{ROOT}/ack/{FIRST}": 0, SINK_TOPIC: 1, f"{ROOT}/dead/#": 1})

    @property
    def is_complete(self) -> bool:
        """Whether all have come, and all that was sent is acknowledged."""
        return len(self.taken) == self.messages and self.sent == self.messages and not self._outbox.waiting

    @property
    def lost(self) -> int:
        return self.messages - len(self.taken)

    @property
    def twice(self) -> int:
        return self.taken.total() - len(self.taken)

    def missing(self) -> list[int]:
        """The first few numbers that have not come."""
        found = (number for number in range(1, self.messages + 1) if number not in self.taken)
        return [number for number, _ in zip(found, range(10), strict=False)]

    def begin(self) -> None:
        """Begin to send."""
        self._fill()
        self._soon()

    # What the transport tells

    def received(self, topic: str, payload: bytes, qos: int, retained: bool) -> None:
        if topic == SINK_TOPIC:
            if not self.is_deaf:
                self._take(payload)
        elif topic.startswith(f"{ROOT}/ack/"):
            receiver = topic.removeprefix(f"{ROOT}/ack/")
            self._outbox.acked(receiver, read_ack(decode_value(payload)), self._clock.now_us())
        else:
            data = json.loads(payload)["data"]
            self.dead.append(f"{topic.removeprefix(f'{ROOT}/dead/')}: {data['topic']}: {data['reason']}: {str(data['payload'])[:200]}")
        self._soon()

    def connected(self, session_present: bool) -> None:
        self._is_linked = True
        since = format_moment(self._clock.wall_us())
        about = {"v": 1, "host": "harness", "session": self._session, "since": since, "revision": 0}
        for path in (FEED, SINK):
            self._say(f"{ROOT}/state/{path}", about | {"status": "ready"}, retain=True)
        self._outbox.linked(self._clock.now_us())
        for receiver, ack in self._inbox.all_acks():
            self._acknowledge(receiver, ack)
        self._soon()

    def disconnected(self, reason: str) -> None:
        self._is_linked = False
        self._outbox.unlinked()
        self._alarm.set(None)

    def refused(self, topic_filter: str, reason: str) -> None:
        raise AssertionError(f"the broker refuses {topic_filter}: {reason}")

    def dropped(self, topic: str, reason: str) -> None: ...

    def confirmed(self, number: int) -> None: ...

    # Inside

    def _fill(self) -> None:
        """Put as many numbers as may be under way."""
        while self.sent < self.messages and self.sent - len(self.taken) < self._window_max:
            self.sent += 1
            epoch, sequence = self._outbox.number(self._feed_edge)
            now_us = self._clock.wall_us()
            event = Event(
                specversion="1.0",
                id=self._new_id(now_us),
                source=f"/{FEED}",
                type="em.out.out",
                time=format_moment(now_us),
                data=self.sent,
                edgeepoch=epoch,
                sequence=sequence,
            )
            self._outbox.put(self._feed_edge, encode_event(event))

    def _take(self, payload: bytes) -> None:
        event = decode_event(payload)
        assert event.edgeepoch is not None, payload
        assert event.sequence is not None, payload
        edge = edge_of(event.source.removeprefix("/"), SINK_TOPIC, ROOT)
        verdict = self._inbox.take(SINK, edge, event.edgeepoch, event.sequence, event.edgebase)
        if verdict is Verdict.AGAIN:
            self.copies += 1
        elif verdict is Verdict.EARLY:
            self.early += 1
        else:
            assert isinstance(event.data, dict), payload
            number = event.data["number"]
            assert event.data["square"] == number * number, payload
            self.taken[number] += 1
            self.last_at_s = time.monotonic()
            if len(self.taken) == 1:
                self.first_at_s = self.last_at_s
            self._came(len(self.taken))
            self._fill()

    def _soon(self) -> None:
        """Commit and send at the end of this turn of the loop: what is never killed keeps its store in memory."""
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._is_due = False
        self._inbox.save()
        self._inbox.committed()
        self._outbox.save()
        self._outbox.committed(self._clock.now_us())
        self._pump()

    def _pump(self) -> None:
        if not self._is_linked:
            return
        for topic, payload in self._outbox.due(self._clock.now_us()):
            self._transport.publish(Publication(topic, payload, 1))
        for receiver, ack in self._inbox.acks():
            self._acknowledge(receiver, ack)
        self._alarm.set(self._outbox.deadline_us)

    def _acknowledge(self, receiver: str, ack: Ack) -> None:
        self._transport.publish(Publication(f"{ROOT}/ack/{receiver}", encode_ack(ack)))

    def _say(self, topic: str, value: object, *, retain: bool) -> None:
        self._transport.publish(Publication(topic, json.dumps(value).encode(), 1, retain))
