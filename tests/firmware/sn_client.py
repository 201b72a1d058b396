"""A node for tests: MQTT-SN over a real UDP socket, sending again what has no answer, on a link that loses datagrams by a seed."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable

from firmware_bridge.mqtt_sn import message as m
from firmware_bridge.mqtt_sn.message import Flags, IdType
from firmware_bridge.mqtt_sn.packet import decode, encode

WAIT_S = 60.0


class SnClient:
    """One node. `loss` is how likely a datagram gets lost, either way; one in ten of the others comes twice."""

    def __init__(self, place: tuple[str, int], name: str, *, loss: float = 0.0, seed: int = 0, retry_s: float = 0.3) -> None:
        self.name = name
        self.heard: list[tuple[str, bytes]] = []
        """Messages by topic; one that comes again with its message id is heard once."""
        self.sent = 0
        self._place = place
        self._loss = loss
        self._chance = random.Random(seed)
        self._retry_s = retry_s
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._topics: dict[int, str] = {}
        self._ids: dict[str, int] = {}
        self._message_id = 0
        self._seen: list[int] = []

    def close(self) -> None:
        self._socket.close()

    def connect(self, *, clean: bool = True, keepalive_s: int = 60, will: tuple[str, bytes] | None = None) -> m.Connack:
        self._topics, self._ids, self._seen = {}, {}, []

        def is_answer(packet: m.Packet) -> bool:
            if will is not None and isinstance(packet, m.WillTopicReq):
                self.send(m.WillTopic(Flags(qos=1, retain=True), will[0].encode()))
            if will is not None and isinstance(packet, m.WillMsgReq):
                self.send(m.WillMsg(will[1]))
            return isinstance(packet, m.Connack)

        connect = m.Connect(Flags(clean=clean, will=will is not None), 1, keepalive_s, self.name.encode())
        answer = self.ask(connect, is_answer)
        assert isinstance(answer, m.Connack)
        return answer

    def register(self, topic: str) -> int:
        if topic not in self._ids:
            number = self._next()
            answer = self.ask(m.Register(0, number, topic.encode()), lambda p: isinstance(p, m.RegAck) and p.message_id == number)
            assert isinstance(answer, m.RegAck)
            assert answer.code == 0, answer
            self._ids[topic] = answer.topic_id
        return self._ids[topic]

    def publish(self, topic: str, payload: bytes) -> m.PubAck:
        """With QoS 1."""
        topic_id, number = self.register(topic), self._next()
        packet = m.Publish(Flags(qos=1), topic_id, number, payload)
        answer = self.ask(packet, lambda p: isinstance(p, m.PubAck) and p.message_id == number)
        assert isinstance(answer, m.PubAck)
        return answer

    def subscribe(self, topic: str, qos: int = 1) -> m.SubAck:
        number = self._next()
        packet = m.Subscribe(Flags(qos=qos), number, topic.encode())
        answer = self.ask(packet, lambda p: isinstance(p, m.SubAck) and p.message_id == number)
        assert isinstance(answer, m.SubAck)
        if answer.topic_id:
            self._topics[answer.topic_id] = topic
        return answer

    def settled(self, path: str) -> None:
        """Wait until the broker has the subscriptions too: it takes what comes on one connection in order."""
        assert self.publish(f"em/ack/{path}", b"{}").code == 0

    def sleep(self, seconds: int) -> None:
        self.ask(m.Disconnect(seconds), lambda p: isinstance(p, m.Disconnect))

    def wake(self) -> None:
        """Ask for what waits, until there is no more."""
        self.ask(m.PingReq(self.name.encode()), lambda p: isinstance(p, m.PingResp))

    def wait_for(self, holds: Callable[[], bool]) -> None:
        until = time.monotonic() + WAIT_S
        while not holds():
            assert time.monotonic() < until, self.heard
            self._take(0.05)

    def ask(self, packet: m.Packet, is_answer: Callable[[m.Packet], bool]) -> m.Packet:
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            self.send(packet)
            again = time.monotonic() + self._retry_s
            while (left := again - time.monotonic()) > 0:
                found = self._take(left)
                if found is not None and is_answer(found):
                    return found
        raise AssertionError(f"{packet} has no answer")

    def send(self, packet: m.Packet) -> None:
        self.raw(encode(packet))

    def raw(self, datagram: bytes) -> None:
        self.sent += 1
        if self._chance.random() >= self._loss:
            self._socket.sendto(datagram, self._place)
            if self._loss and self._chance.random() < 0.1:
                self._socket.sendto(datagram, self._place)

    def _take(self, wait_s: float) -> m.Packet | None:
        self._socket.settimeout(max(wait_s, 0.001))
        try:
            datagram = self._socket.recv(65_535)
        except TimeoutError:
            return None
        if self._chance.random() < self._loss:
            return None
        packet = decode(datagram)
        if isinstance(packet, m.Register):
            self._topics[packet.topic_id] = packet.topic.decode()
            self.send(m.RegAck(packet.topic_id, packet.message_id))
        elif isinstance(packet, m.Publish):
            self._hear(packet)
        return packet

    def _hear(self, packet: m.Publish) -> None:
        is_new = not packet.message_id or packet.message_id not in self._seen[-8:]
        if is_new:
            self._seen.append(packet.message_id)
            topic = self._topics.get(packet.topic_id, "?") if packet.flags.id_type is IdType.NORMAL else f"#{packet.topic_id}"
            self.heard.append((topic, packet.payload))
        if packet.flags.qos == 1:
            self.send(m.PubAck(packet.topic_id, packet.message_id))

    def _next(self) -> int:
        self._message_id = self._message_id % 65_535 + 1
        return self._message_id
