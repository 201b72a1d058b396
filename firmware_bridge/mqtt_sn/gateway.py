"""The gateway's side of a network: who sends from where, and who is no node at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

from edgematrix.access.grant import Access
from firmware_bridge.mqtt_sn import message as m
from firmware_bridge.mqtt_sn.message import Code, Packet, PacketError
from firmware_bridge.mqtt_sn.node import Node, Phase
from firmware_bridge.mqtt_sn.pace import Pace
from firmware_bridge.mqtt_sn.packet import decode, encode
from firmware_bridge.mqtt_sn.rules import Rules
from firmware_bridge.mqtt_sn.topic_ids import KnownTopics

__all__ = ["Gateway"]

_STRANGERS_PER_S = 200
_GATEWAY_ID = 1

Address = TypeVar("Address")


class Gateway(Generic[Address]):
    """Brings datagrams to the nodes that sent them. As many sessions as nodes are known, and nothing is kept of anybody else.

    Args:
        nodes: each by its client id.
        known: topics that have a number beforehand.
    """

    def __init__(self, nodes: Mapping[str, Node], known: KnownTopics, rules: Rules) -> None:
        self.nodes = dict(nodes)
        self.counts: Counter[str] = Counter()
        self._known = known
        self._rules = rules
        self._where: dict[str, Address] = {}
        self._who: dict[Address, str] = {}
        self._paces = {name: Pace(rules.rate_per_s) for name in self.nodes}
        self._strangers = Pace(_STRANGERS_PER_S)

    def address(self, name: str) -> Address | None:
        """From where a node was heard last."""
        return self._where.get(name)

    def datagram(self, datagram: bytes, sender: Address, now_us: int) -> tuple[str | None, bytes | None]:
        """Take a datagram: the node whose effects have to be carried out, and what is answered to the sender itself, if anything."""
        name = self._who.get(sender)
        pace = self._strangers if name is None else self._paces[name]
        if not pace.take(now_us):
            self.counts["too_many"] += 1
            return None, None
        try:
            packet = decode(datagram)
        except PacketError:
            self.counts["malformed"] += 1
            return None, None
        return self._packet(packet, sender, name, now_us)

    def _packet(self, packet: Packet, sender: Address, name: str | None, now_us: int) -> tuple[str | None, bytes | None]:
        if isinstance(packet, m.SearchGw):
            return None, encode(m.GwInfo(_GATEWAY_ID))
        if isinstance(packet, m.Publish) and packet.flags.qos < 0:
            return self._unconnected(packet), None
        if isinstance(packet, m.Connect) or (isinstance(packet, m.PingReq) and packet.client_id):
            found = self._named(packet, sender)
            if found is None:
                return None, encode(m.Connack(Code.NOT_SUPPORTED) if isinstance(packet, m.Connect) else m.Disconnect())
            name = found
        if name is None:
            self.counts["strangers"] += 1
            # A stray DISCONNECT is not answered: two gateways would talk for ever.
            return None, None if isinstance(packet, m.Disconnect) else encode(m.Disconnect())
        self.nodes[name].packet(packet, now_us)
        return name, None

    def due_us(self) -> int | None:
        """When `advance` has something to do."""
        return min((due for node in self.nodes.values() if (due := node.deadline_us) is not None), default=None)

    def advance(self, now_us: int) -> Iterator[str]:
        """Do what is due; the names of the nodes whose effects have to be carried out."""
        for name, node in self.nodes.items():
            due_us = node.deadline_us
            if due_us is not None and due_us <= now_us:
                node.advance(now_us)
                yield name

    def _named(self, packet: m.Connect | m.PingReq, sender: Address) -> str | None:
        """The node that says its name, wherever it is now."""
        name = packet.client_id.decode("utf-8", "replace")
        node = self.nodes.get(name)
        if node is None:
            self.counts["unknown_nodes"] += 1
            return None
        if isinstance(packet, m.PingReq) and node.phase is Phase.GONE:
            self.counts["strangers"] += 1
            return None
        before = self._where.get(name)
        if before is not None and before != sender:
            self._who.pop(before, None)
        other = self._who.get(sender)
        if other is not None and other != name:
            self._where.pop(other, None)
        self._where[name], self._who[sender] = sender, name
        return name

    def _unconnected(self, packet: m.Publish) -> str | None:
        """A message of QoS -1: its topic is known beforehand, and tells whose it is."""
        topic = None
        if packet.flags.id_type is not m.IdType.NORMAL:
            topic = self._known.topic(packet.flags.id_type, packet.topic_id)
        if topic is None:
            self.counts["unknown_topic_ids"] += 1
            return None
        for name, node in self.nodes.items():
            if node.identity.grants.allows(Access.WRITE, topic):
                node.publish_without_connection(packet, topic)
                return name
        self.counts["refused_topics"] += 1
        return None
