"""What one node wants to hear, and by which numbers topics go to it."""

from __future__ import annotations

from edgematrix.access.grant import Access
from edgematrix.errors import TopicError
from edgematrix.protocol.overlap import check_subscription
from edgematrix.protocol.topic import check_topic
from firmware_bridge.mqtt_sn.effect import Listen, Unlisten
from firmware_bridge.mqtt_sn.message import Code, Flags, IdType, RegAck, Register, SubAck, Subscribe, UnsubAck, Unsubscribe
from firmware_bridge.mqtt_sn.shared import Shared
from firmware_bridge.mqtt_sn.topic_ids import TopicIds

__all__ = ["Interest", "topic_of"]

_ID_BYTES = 2
_ANSWER_US = 1_000_000
"""How long the broker's answer to a subscription is waited for."""


def topic_of(name: bytes, *, is_filter: bool = False) -> str | None:
    """A topic's name, or a filter, as text; None if it is none."""
    try:
        text = name.decode()
        return check_subscription(text) if is_filter else check_topic(text)
    except (UnicodeDecodeError, TopicError):
        return None


class Interest:
    """The subscriptions and registrations of a node."""

    def __init__(self, shared: Shared) -> None:
        self.named: dict[str, tuple[IdType, int]] = {}
        """Topics that it has subscribed to by a number or short name that needs no registration."""
        self._grants = shared.grants
        self._rules = shared.rules
        self._known = shared.known
        self._counts = shared.counts
        self._send = shared.send
        self._do = shared.do
        self._ids = TopicIds(shared.rules.topics_max)
        self._filters: dict[str, int] = {}
        self._granted: set[str] = set()
        """What the broker is known to have."""
        self._asked: dict[str, SubAck] = {}
        """Answers that wait for the broker's."""
        self._asked_us = 0

    @property
    def due_us(self) -> int | None:
        """When nobody waits for the broker's answer any longer."""
        return self._asked_us if self._asked else None

    def renew(self, ids: TopicIds) -> None:
        """The node has connected anew, and knows these ids."""
        self._ids = ids
        self._asked.clear()

    def leave(self) -> None:
        """The node is gone: nobody waits for an answer."""
        self._asked.clear()
        self._granted.clear()

    def again(self) -> None:
        """Subscribe to all of it, on a new connection."""
        self._granted.clear()
        for topic_filter, qos in self._filters.items():
            self._do(Listen(topic_filter, qos))

    def forget(self) -> None:
        """It wants to hear nothing of that any more."""
        for topic_filter in self._filters:
            self._do(Unlisten(topic_filter))
        for old in (self._filters, self.named, self._granted, self._asked):
            old.clear()

    def granted(self, topic_filter: str, refusal: str) -> None:
        """The broker has answered; without a refusal it has the subscription."""
        answer = self._asked.pop(topic_filter, None)
        if topic_filter not in self._filters:
            return
        if not refusal:
            self._granted.add(topic_filter)
        else:
            del self._filters[topic_filter]
            self._counts["refused_topics"] += 1
        if answer is not None:
            self._send(SubAck(Flags(), 0, answer.message_id, Code.NOT_SUPPORTED) if refusal else answer)

    def advance(self, now_us: int) -> None:
        """Answer what the broker has not answered in time: it will be asked again when it is back, or another filter covers it."""
        if self._asked and now_us >= self._asked_us:
            for answer in self._asked.values():
                self._send(answer)
            self._asked.clear()

    def register(self, packet: Register) -> None:
        """Give a topic an id."""
        topic = topic_of(packet.topic)
        if topic is None or not (self._grants.allows(Access.WRITE, topic) or self._grants.allows(Access.READ, topic)):
            self._counts["refused_topics"] += 1
            self._send(RegAck(0, packet.message_id, Code.NOT_SUPPORTED))
            return
        topic_id = self._ids.give(topic)
        if topic_id is None:
            self._counts["no_topic_id"] += 1
        self._send(RegAck(topic_id or 0, packet.message_id, Code.CONGESTION if topic_id is None else Code.ACCEPTED))

    def take(self, packet: Subscribe, now_us: int) -> None:
        """Subscribe, or refuse it."""
        topic, topic_id = self._asked_for(packet)
        qos = min(max(packet.flags.qos, 0), 1)
        code = self._judged(topic)
        if code is not Code.ACCEPTED or topic is None:
            self._send(SubAck(Flags(), 0, packet.message_id, code))
            return
        if packet.flags.id_type is not IdType.NORMAL:
            self.named[topic] = (packet.flags.id_type, topic_id)
        elif "+" not in topic and "#" not in topic:
            topic_id = self._ids.give(topic) or 0
        self._filters[topic] = qos
        answer = SubAck(Flags(qos=qos), topic_id, packet.message_id, code)
        if topic in self._granted:
            self._send(answer)
        else:
            self._asked[topic] = answer
            self._asked_us = now_us + _ANSWER_US
        self._do(Listen(topic, qos))

    def drop(self, packet: Unsubscribe) -> None:
        """Unsubscribe."""
        topic, _ = self._asked_for(packet)
        if topic is not None and self._filters.pop(topic, None) is not None:
            self.named.pop(topic, None)
            self._asked.pop(topic, None)
            self._granted.discard(topic)
            self._do(Unlisten(topic))
        self._send(UnsubAck(packet.message_id))

    def _judged(self, topic: str | None) -> Code:
        if topic is None:
            self._counts["refused_topics"] += 1
            return Code.INVALID_TOPIC_ID
        if not self._grants.allows(Access.READ, topic):
            self._counts["refused_topics"] += 1
            return Code.NOT_SUPPORTED
        is_full = topic not in self._filters and len(self._filters) >= self._rules.filters_max
        return Code.CONGESTION if is_full else Code.ACCEPTED

    def _asked_for(self, packet: Subscribe | Unsubscribe) -> tuple[str | None, int]:
        """The topic or filter that a node means, and the id that it uses for it, if it uses one."""
        if packet.flags.id_type is IdType.NORMAL:
            return topic_of(packet.topic, is_filter=True), 0
        if len(packet.topic) != _ID_BYTES:
            return None, 0
        topic_id = int.from_bytes(packet.topic, "big")
        return self._known.topic(packet.flags.id_type, topic_id), topic_id
