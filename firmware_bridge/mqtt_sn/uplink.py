"""Messages of one node on their way to the broker: each once, and acknowledged when the broker has it."""

from __future__ import annotations

from collections import OrderedDict

from edgematrix.access.grant import Access
from firmware_bridge.mqtt_sn.effect import ToBroker
from firmware_bridge.mqtt_sn.message import Code, IdType, PubAck, Publish
from firmware_bridge.mqtt_sn.shared import Shared
from firmware_bridge.mqtt_sn.topic_ids import TopicIds

__all__ = ["Uplink"]

_RECENT_MAX = 16
_REPEATED_US = 10_000_000
"""A QoS 1 message with the id and content of one that came so long ago is that one, whatever its DUP flag says."""


class Uplink:
    """What a node publishes."""

    def __init__(self, shared: Shared) -> None:
        self._grants = shared.grants
        self._rules = shared.rules
        self._known = shared.known
        self._counts = shared.counts
        self._send = shared.send
        self._publish = shared.do
        self._ids = TopicIds(shared.rules.topics_max)
        self._number = 0
        self._open: dict[int, Publish] = {}
        """What the broker has not confirmed, by its number."""
        self._recent: OrderedDict[tuple[int, int, bytes], int] = OrderedDict()
        """Messages that were taken, by message id, topic id and content, and when."""

    def renew(self, ids: TopicIds) -> None:
        """The node has connected anew, and knows these ids."""
        self._ids = ids
        self._recent.clear()
        self._open.clear()

    def leave(self) -> None:
        """The node is gone: nobody waits for what the broker has not confirmed."""
        self._open.clear()

    def take(self, packet: Publish, now_us: int) -> None:
        """Publish a message of the node, or refuse it."""
        id_type, qos = packet.flags.id_type, packet.flags.qos
        topic = self._ids.topic(packet.topic_id) if id_type is IdType.NORMAL else self._known.topic(id_type, packet.topic_id)
        if topic is None:
            self._refuse(packet, Code.INVALID_TOPIC_ID, "unknown_topic_ids")
        elif qos > 1:
            self._refuse(packet, Code.NOT_SUPPORTED, "not_supported")
        elif not self._grants.allows(Access.WRITE, topic):
            self._refuse(packet, Code.NOT_SUPPORTED, "refused_topics")
        elif qos < 1:
            self._counts["published"] += 1
            self._publish(ToBroker(topic, packet.payload, 0, packet.flags.retain))
        else:
            self._take_surely(packet, topic, now_us)

    def confirmed(self, number: int) -> None:
        """The broker has it."""
        packet = self._open.pop(number, None)
        if packet is not None:
            self._send(PubAck(packet.topic_id, packet.message_id))

    def _take_surely(self, packet: Publish, topic: str, now_us: int) -> None:
        mark = (packet.message_id, packet.topic_id, packet.payload)
        came_us = self._recent.get(mark)
        if came_us is not None and (packet.flags.dup or now_us - came_us < _REPEATED_US):
            self._counts["repeated"] += 1
            if not any((one.message_id, one.topic_id) == mark[:2] for one in self._open.values()):
                self._send(PubAck(packet.topic_id, packet.message_id))
            return
        if len(self._open) >= self._rules.inflight_max:
            self._refuse(packet, Code.CONGESTION, "congested")
            return
        self._recent[mark] = now_us
        self._recent.move_to_end(mark)
        while len(self._recent) > _RECENT_MAX:
            self._recent.popitem(last=False)
        self._number += 1
        self._open[self._number] = packet
        self._counts["published"] += 1
        self._publish(ToBroker(topic, packet.payload, 1, packet.flags.retain, self._number))

    def _refuse(self, packet: Publish, code: Code, count: str) -> None:
        self._counts[count] += 1
        self._send(PubAck(packet.topic_id, packet.message_id, code))
