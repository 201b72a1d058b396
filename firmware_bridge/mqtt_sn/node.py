"""One node's session: what it says, what it is told, and what becomes of it when it says nothing.

            CONNECT              the will is known           the broker has taken it in
    GONE ───────────▶ WILL_TOPIC ▶ WILL_MESSAGE ▶ OPENING ──────────────▶ ACTIVE ◀──CONNECT──┐
     ▲                                                                    │   DISCONNECT(s)  │
     └── DISCONNECT, silence, no answer ◀─────────────────────────────────┴──────▶ ASLEEP ◀──┴▶ AWAKE
                                                                                     PINGREQ, PINGRESP

No socket, no clock: datagrams, messages and moments in, effects out. A node without a will of its own is announced: its `state` is
`ready` from its connection on, and `offline` is its will.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from edgematrix.access.grant import Access, Grants
from firmware_bridge.mqtt_sn import message as m
from firmware_bridge.mqtt_sn.delivery import Delivery, Letter
from firmware_bridge.mqtt_sn.effect import Attach, Detach, Effect, Send, Tell, ToBroker, Will
from firmware_bridge.mqtt_sn.interest import Interest, topic_of
from firmware_bridge.mqtt_sn.message import Code, Packet, PacketError
from firmware_bridge.mqtt_sn.packet import encode
from firmware_bridge.mqtt_sn.rules import Rules
from firmware_bridge.mqtt_sn.shared import Shared
from firmware_bridge.mqtt_sn.topic_ids import KnownTopics, TopicIds
from firmware_bridge.mqtt_sn.uplink import Uplink
from firmware_bridge.receipts import Finished

__all__ = ["Identity", "Node", "Phase"]

_SECOND_US = 1_000_000
_OPENING_US = 8 * _SECOND_US
"""How long the broker may take to let a node in; a node asks again after Tretry."""


class Phase(StrEnum):
    """Where a session stands."""

    GONE = "gone"
    WILL_TOPIC = "will topic"
    WILL_MESSAGE = "will message"
    OPENING = "opening"
    ACTIVE = "active"
    ASLEEP = "asleep"
    AWAKE = "awake"


_HERE = frozenset({Phase.ACTIVE, Phase.ASLEEP, Phase.AWAKE})
_WILLS = frozenset({Phase.WILL_TOPIC, Phase.WILL_MESSAGE})


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a node is: the path of its agent, and what it may publish and read there."""

    path: str
    grants: Grants


class Node:
    """The session of one node.

    Args:
        identity: who it is.
        announce: makes the payload of its `state` with this status.
        state_topic: where that is published.
    """

    def __init__(self, identity: Identity, rules: Rules, known: KnownTopics, state_topic: str, announce: Callable[[str], bytes]) -> None:
        self.identity = identity
        self.phase = Phase.GONE
        self.effects: list[Effect] = []
        self.counts: Counter[str] = Counter()
        self.is_attached = False
        """Whether there is, or is going to be, a connection to the broker for it."""
        self._rules = rules
        self._state_topic = state_topic
        self._announce = announce
        shared = Shared(identity.grants, rules, known, self.counts, self._send, self.effects.append)
        self._interest = Interest(shared)
        self._delivery = Delivery(rules, self._send, self._finish, self.counts, self._interest.named)
        self._own_will: Will | None = None
        self._new_will: Will | None = None
        self._will: Will | None = None
        """With which it is attached."""
        self._is_clean = True
        """Whether the broker keeps nothing of that session."""
        self._clean = True
        self._keepalive_s = 0
        self._sleep_s = 0
        self._heard_us = 0
        self._asked_us = 0
        self._asks = 0
        self._uplink = Uplink(shared)

    # What there is to do, and when

    @property
    def deadline_us(self) -> int | None:
        """When `advance` has something to do."""
        due = [self._delivery.due_us, self._silence_us(), self._interest.due_us]
        if self.phase in _WILLS or self.phase is Phase.OPENING:
            due.append(self._asked_us)
        return min((moment for moment in due if moment is not None), default=None)

    @property
    def waiting(self) -> int:
        """How many messages wait for it."""
        return self._delivery.waiting

    def advance(self, now_us: int) -> None:
        """Do what is due."""
        self._interest.advance(now_us)
        if self.phase in _WILLS and now_us >= self._asked_us:
            self._ask_again(now_us)
        elif self.phase is Phase.OPENING and now_us >= self._asked_us:
            self._send(m.Connack(Code.CONGESTION))
            self._leave("the broker did not let it in", clean=True)
        elif (silence_us := self._silence_us()) is not None and now_us >= silence_us:
            self._leave("nothing was heard of it", clean=False)
        elif not self._delivery.again(now_us):
            if self.phase is Phase.AWAKE:
                self._sleep()
            else:
                self._leave("it does not answer", clean=False)

    # What the node says

    def packet(self, packet: Packet, now_us: int) -> None:
        """Handle a message of the node."""
        self._heard_us = now_us
        if isinstance(packet, m.Connect):
            self._connect(packet, now_us)
        elif isinstance(packet, m.WillTopic | m.WillMsg):
            self._will_told(packet, now_us)
        elif self.phase in _HERE:
            self._here(packet, now_us)
        elif not isinstance(packet, m.Disconnect) or self.phase is Phase.GONE:
            self._send(m.Disconnect())  # it takes itself for connected

    def publish_without_connection(self, packet: m.Publish, topic: str) -> None:
        """Take a message of QoS -1: from whom it comes is told by its topic."""
        if not self.is_attached:
            self._attach(None, clean=True)
        self.counts["published"] += 1
        self.effects.append(ToBroker(topic, packet.payload, 0, packet.flags.retain))

    def stop(self) -> None:
        """The gateway ends."""
        if self.phase in _HERE:
            self._send(m.Disconnect())
        self._leave("the gateway was stopped", clean=True)

    # What the broker says

    def attached(self, now_us: int, *, session_present: bool = False) -> None:
        """The broker has taken it in, for the first time or again."""
        if session_present:
            self._delivery.redelivered()
        if self.phase is Phase.OPENING:
            self._welcome(now_us)
        elif self.phase in _HERE:
            self._say("ready")

    def refused(self, now_us: int) -> None:
        """The broker wants no such client, and never will."""
        del now_us
        if self.phase is Phase.OPENING:
            self._send(m.Connack(Code.NOT_SUPPORTED))
        elif self.phase in _HERE:
            self._send(m.Disconnect())
        self.is_attached = False
        self._leave("the broker refuses it", clean=True)

    def message(self, letter: Letter, now_us: int) -> None:
        """A message for it."""
        self.counts["received"] += 1
        self._delivery.put(letter)
        self._pump(now_us)

    def granted(self, topic_filter: str, refusal: str) -> None:
        """The broker has answered to a subscription."""
        self._interest.granted(topic_filter, refusal)

    def confirmed(self, number: int) -> None:
        """The broker has what the node published."""
        self._uplink.confirmed(number)

    # Connecting

    def _connect(self, packet: m.Connect, now_us: int) -> None:
        if packet.protocol != m.PROTOCOL:
            self.counts["refused_connects"] += 1
            self._send(m.Connack(Code.NOT_SUPPORTED))
            return
        if self.phase is Phase.OPENING:
            return  # its CONNECT came again; the answer comes when the broker has said its own
        self._keepalive_s = packet.duration_s
        self._clean = packet.flags.clean
        ids = TopicIds(self._rules.topics_max)
        self._delivery.renew(ids)
        self._uplink.renew(ids)
        self._interest.renew(ids)
        if self._clean:
            self._interest.forget()
            self._delivery.forget("forgotten_by_node")
        self._own_will = self._new_will = None
        if packet.flags.will:
            self._ask(Phase.WILL_TOPIC, now_us)
        else:
            self._open(now_us)

    def _will_told(self, packet: m.WillTopic | m.WillMsg, now_us: int) -> None:
        if isinstance(packet, m.WillTopic) and self.phase is Phase.WILL_TOPIC:
            if not packet.topic:
                self._open(now_us)
                return
            topic = topic_of(packet.topic)
            if topic is None or not self.identity.grants.allows(Access.WRITE, topic):
                self.counts["refused_topics"] += 1
                self._send(m.Connack(Code.NOT_SUPPORTED))
                self._leave(f"its will is on {packet.topic[:80]!r}, where it may not publish", clean=True)
                return
            self._new_will = Will(topic, b"", min(max(packet.flags.qos, 0), 1), packet.flags.retain)
            self._ask(Phase.WILL_MESSAGE, now_us)
        elif isinstance(packet, m.WillMsg) and self.phase is Phase.WILL_MESSAGE and self._new_will is not None:
            will = self._new_will
            self._own_will = Will(will.topic, packet.payload, will.qos, will.retain)
            self._open(now_us)
        else:
            self.counts["stray_answers"] += 1

    def _ask(self, phase: Phase, now_us: int) -> None:
        self.phase, self._asks, self._asked_us = phase, 0, now_us + self._rules.retry_us
        self._send(m.WillTopicReq() if phase is Phase.WILL_TOPIC else m.WillMsgReq())

    def _ask_again(self, now_us: int) -> None:
        if self._asks >= self._rules.retries_max:
            self._leave("it does not tell its will", clean=False)
            return
        asks = self._asks + 1
        self._ask(self.phase, now_us)
        self._asks = asks

    def _open(self, now_us: int) -> None:
        will = self._own_will or Will(self._state_topic, self._announce("offline"))
        if self.is_attached and self._will == will and self._is_clean == self._clean:
            self._welcome(now_us)
            return
        self.phase, self._asked_us = Phase.OPENING, now_us + _OPENING_US
        self._attach(will, clean=self._clean)

    def _attach(self, will: Will | None, *, clean: bool) -> None:
        self._will, self._is_clean, self.is_attached = will, clean, True
        self.effects.append(Attach(will, clean))
        self._interest.again()

    def _welcome(self, now_us: int) -> None:
        self.phase = Phase.ACTIVE
        self._heard_us = now_us
        self._send(m.Connack(Code.ACCEPTED))
        self._say("ready")
        self.effects.append(Tell(f"{self.identity.path} is here"))
        self._pump(now_us)

    # While it is here

    def _here(self, packet: Any, now_us: int) -> None:
        if isinstance(packet, m.Publish):
            self._uplink.take(packet, now_us)
        elif isinstance(packet, m.Register):
            self._interest.register(packet)
        elif isinstance(packet, m.Subscribe):
            self._interest.take(packet, now_us)
        elif isinstance(packet, m.Unsubscribe):
            self._interest.drop(packet)
        elif isinstance(packet, m.PubAck):
            self._delivery.acknowledged(packet)
        elif isinstance(packet, m.RegAck):
            self._delivery.registered(packet, now_us)
        elif isinstance(packet, m.PingReq):
            self._ping(packet, now_us)
        elif isinstance(packet, m.Disconnect):
            self._disconnect(packet)
        elif isinstance(packet, m.WillTopicUpd | m.WillMsgUpd):
            self._change_will(packet)
        else:
            self.counts["not_supported"] += 1
        self._pump(now_us)

    def _ping(self, packet: m.PingReq, now_us: int) -> None:
        if packet.client_id and self.phase is Phase.ASLEEP:
            self.phase = Phase.AWAKE
            self._pump(now_us)
        elif self.phase is not Phase.AWAKE:
            self._send(m.PingResp())

    def _disconnect(self, packet: m.Disconnect) -> None:
        self._send(m.Disconnect())
        if packet.duration_s:
            self._sleep_s = packet.duration_s
            self._sleep()
        else:
            self._leave("it has gone", clean=True)

    def _change_will(self, packet: m.WillTopicUpd | m.WillMsgUpd) -> None:
        old = self._own_will
        if isinstance(packet, m.WillMsgUpd):
            if old is None:
                self._send(m.WillMsgResp(Code.NOT_SUPPORTED))
                return
            self._own_will = Will(old.topic, packet.payload, old.qos, old.retain)
            self._send(m.WillMsgResp(Code.ACCEPTED))
        else:
            topic = topic_of(packet.topic) if packet.topic else ""
            if topic is None or (topic and not self.identity.grants.allows(Access.WRITE, topic)):
                self.counts["refused_topics"] += 1
                self._send(m.WillTopicResp(Code.NOT_SUPPORTED))
                return
            payload = b"" if old is None else old.payload
            self._own_will = Will(topic, payload, min(max(packet.flags.qos, 0), 1), packet.flags.retain) if topic else None
            self._send(m.WillTopicResp(Code.ACCEPTED))
        self._attach(self._own_will or Will(self._state_topic, self._announce("offline")), clean=self._clean)

    # Leaving

    def _sleep(self) -> None:
        self.phase = Phase.ASLEEP
        self._delivery.hold()

    def _leave(self, why: str, *, clean: bool) -> None:
        """End the session. What the broker keeps for it waits there."""
        if self.phase in _HERE:
            self.effects.append(Tell(f"{self.identity.path} is gone: {why}"))
            if clean:
                self._say("offline")
        if self.is_attached:
            self.effects.append(Detach(clean))
        self.is_attached, self.phase = False, Phase.GONE
        self._delivery.forget("left_with_broker")
        self._uplink.leave()
        self._interest.leave()

    # Small things

    def _silence_us(self) -> int | None:
        """When the node has been silent too long; None where it may be silent."""
        if self.phase is Phase.ASLEEP:
            span_s = self._sleep_s
        elif self.phase is Phase.ACTIVE or self.phase is Phase.AWAKE:
            span_s = self._keepalive_s
        else:
            return None
        return self._heard_us + int(span_s * _SECOND_US * self._rules.tolerance) if span_s else None

    def _pump(self, now_us: int) -> None:
        if self.phase is Phase.ACTIVE or self.phase is Phase.AWAKE:
            self._delivery.pump(now_us)
        if self.phase is Phase.AWAKE and self._delivery.is_idle:
            self._send(m.PingResp())
            self._sleep()

    def _say(self, status: str) -> None:
        """Publish the state of a node that does not speak for itself."""
        if self._own_will is None:
            self.effects.append(ToBroker(self._state_topic, self._announce(status), 1, retain=True))

    def _finish(self, receipt: int) -> None:
        if receipt:
            self.effects.append(Finished(receipt))

    def _send(self, packet: Packet) -> None:
        try:
            self.effects.append(Send(encode(packet)))
        except PacketError:
            self.counts["too_long"] += 1
