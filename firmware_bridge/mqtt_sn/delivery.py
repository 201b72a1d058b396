"""Messages on their way to one node: they wait while it sleeps, and go one at a time, again until it answers."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from firmware_bridge.mqtt_sn.message import Code, Flags, IdType, Packet, PubAck, Publish, RegAck, Register
from firmware_bridge.mqtt_sn.rules import Rules
from firmware_bridge.mqtt_sn.topic_ids import TopicIds

__all__ = ["Delivery", "Letter"]

_MESSAGE_ID_MAX = 0xFFFF


@dataclass(frozen=True, slots=True)
class Letter:
    """One message from the broker. It is worth nothing any more at `expires_us`; `receipt` is 0 where the broker keeps nothing."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    receipt: int
    expires_us: int


@dataclass(slots=True)
class _Under:
    """What was sent last, and is waited for."""

    letter: Letter
    topic_id: int
    message_id: int
    is_registering: bool
    due_us: int
    tries: int = 0


class Delivery:
    """The letters of a node.

    Args:
        send: sends a message to the node.
        finish: is given each letter's receipt once nobody needs it any more.
        count: what became of them.
        named: topics that the node has subscribed to by a number or short name that needs no registration.
    """

    def __init__(
        self,
        rules: Rules,
        send: Callable[[Packet], None],
        finish: Callable[[int], None],
        count: Counter[str],
        named: dict[str, tuple[IdType, int]],
    ) -> None:
        self._rules = rules
        self._send = send
        self._finish = finish
        self._count = count
        self._named = named
        self._letters: deque[Letter] = deque()
        self._bytes = 0
        self._under: _Under | None = None
        self._message_id = 0
        self._held: tuple[Letter, int] | None = None
        """A letter that was sent and put back, with its message id: if the node had it, it knows it by that."""
        self._ids = TopicIds(rules.topics_max)

    @property
    def waiting(self) -> int:
        """How many letters are not with the node."""
        return len(self._letters) + (self._under is not None)

    @property
    def due_us(self) -> int | None:
        """When something has to be sent again."""
        return None if self._under is None else self._under.due_us

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits, and nothing is waited for."""
        return not self._letters and self._under is None

    def renew(self, ids: TopicIds) -> None:
        """The node has connected anew: it knows these ids; what it has not acknowledged goes again."""
        self._ids = ids
        self.hold()

    def hold(self) -> None:
        """The node does not listen now; what it has not acknowledged goes again later."""
        if self._under is not None:
            self._letters.appendleft(self._under.letter)
            if not self._under.is_registering:
                self._held = (self._under.letter, self._under.message_id)
            self._bytes += len(self._under.letter.payload)
            self._under = None

    def forget(self, why: str) -> None:
        """Give up all letters. Those of which the broker knows that they are not acknowledged it may keep."""
        self.hold()
        if self._letters:
            self._count[why] += len(self._letters)
        self._letters.clear()
        self._bytes = 0

    def redelivered(self) -> None:
        """The broker sends again all that it was not told to be finished."""
        self._letters = deque(letter for letter in self._letters if not letter.receipt)
        self._bytes = sum(len(letter.payload) for letter in self._letters)

    def put(self, letter: Letter) -> None:
        """Queue a letter; beyond the bound the oldest without an acknowledgement gives way, else the oldest."""
        if len(letter.payload) > self._rules.payload_bytes_max:
            self._drop(letter, "too_long")
            return
        self._letters.append(letter)
        self._bytes += len(letter.payload)
        while len(self._letters) > self._rules.waiting_max or self._bytes > self._rules.waiting_bytes_max:
            place = next((number for number, one in enumerate(self._letters) if not one.qos), 0)
            victim = self._letters[place]
            del self._letters[place]
            self._bytes -= len(victim.payload)
            self._drop(victim, "no_room")

    def expire(self, now_us: int) -> None:
        """Drop what is worth nothing any more."""
        if any(letter.expires_us <= now_us for letter in self._letters):
            kept = deque(letter for letter in self._letters if letter.expires_us > now_us)
            for letter in self._letters:
                if letter.expires_us <= now_us:
                    self._bytes -= len(letter.payload)
                    self._drop(letter, "expired")
            self._letters = kept

    def pump(self, now_us: int) -> None:
        """Send what can be sent now; the node listens."""
        self.expire(now_us)
        while self._letters and self._under is None:
            letter = self._letters.popleft()
            self._bytes -= len(letter.payload)
            named = self._named.get(letter.topic)
            topic_id = self._ids.find(letter.topic)
            if named is not None or topic_id is not None:
                self._publish(letter, now_us)
                continue
            topic_id = self._ids.give(letter.topic)
            if topic_id is None:
                self._drop(letter, "no_topic_id")
                continue
            self._under = _Under(letter, topic_id, self._next_id(), is_registering=True, due_us=now_us + self._rules.retry_us)
            self._send(Register(topic_id, self._under.message_id, letter.topic.encode()))

    def registered(self, packet: RegAck, now_us: int) -> None:
        """The node's answer to a registration."""
        under = self._under
        if under is None or not under.is_registering or under.message_id != packet.message_id:
            self._count["stray_answers"] += 1
            return
        self._under = None
        if packet.code != Code.ACCEPTED:
            self._drop(under.letter, "refused_by_node")
        else:
            self._publish(under.letter, now_us)

    def acknowledged(self, packet: PubAck) -> None:
        """The node's answer to a message."""
        under = self._under
        if under is None or under.is_registering or under.message_id != packet.message_id:
            self._count["stray_answers"] += 1
            return
        self._under = None
        if packet.code == Code.ACCEPTED:
            self._count["delivered"] += 1
            self._finish(under.letter.receipt)
        else:
            self._drop(under.letter, "refused_by_node")

    def again(self, now_us: int) -> bool:
        """Send again what had no answer in time; False when it was sent often enough."""
        under = self._under
        if under is None or under.due_us > now_us:
            return True
        if under.tries >= self._rules.retries_max:
            return False
        under.tries += 1
        under.due_us = now_us + self._rules.retry_us
        self._count["sent_again"] += 1
        if under.is_registering:
            self._send(Register(under.topic_id, under.message_id, under.letter.topic.encode()))
        else:
            self._send(self._packet(under.letter, under.message_id, dup=True))
        return True

    def _publish(self, letter: Letter, now_us: int) -> None:
        if not letter.qos:
            self._send(self._packet(letter, 0))
            self._count["delivered"] += 1
            self._finish(letter.receipt)
            return
        held, self._held = self._held, None
        is_again = held is not None and held[0] is letter
        packet = self._packet(letter, held[1] if held is not None and is_again else self._next_id(), dup=is_again)
        self._under = _Under(letter, packet.topic_id, packet.message_id, is_registering=False, due_us=now_us + self._rules.retry_us)
        self._send(packet)

    def _packet(self, letter: Letter, message_id: int, *, dup: bool = False) -> Publish:
        id_type, topic_id = self._named.get(letter.topic, (IdType.NORMAL, self._ids.find(letter.topic) or 0))
        return Publish(Flags(dup=dup, qos=letter.qos, retain=letter.retain, id_type=id_type), topic_id, message_id, letter.payload)

    def _drop(self, letter: Letter, why: str) -> None:
        self._count[why] += 1
        self._finish(letter.receipt)

    def _next_id(self) -> int:
        self._message_id = self._message_id % _MESSAGE_ID_MAX + 1
        return self._message_id
