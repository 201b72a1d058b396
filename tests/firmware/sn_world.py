"""A gateway's pure core with everything around it faked: a broker that does as it is told, a network, a clock."""

from __future__ import annotations

from dataclasses import dataclass, field

from edgematrix.access.grant import Grants, GrantsDraft
from firmware_bridge.mqtt_sn import message as m
from firmware_bridge.mqtt_sn.delivery import Letter
from firmware_bridge.mqtt_sn.effect import Attach, Detach, Effect, Listen, Send, ToBroker, Unlisten, Will
from firmware_bridge.mqtt_sn.gateway import Gateway
from firmware_bridge.mqtt_sn.node import Identity, Node
from firmware_bridge.mqtt_sn.packet import decode, encode
from firmware_bridge.mqtt_sn.rules import Rules
from firmware_bridge.mqtt_sn.topic_ids import KnownTopics
from firmware_bridge.receipts import Finished

SECOND = 1_000_000
TANK, PUMP = "home/tank", "home/pump"
KNOWN = KnownTopics({5: f"em/out/{TANK}/level", 6: f"em/in/{TANK}/valve", 9: "em/out/home/elsewhere/x"}, {"t1": f"em/out/{TANK}/level"})


def grants_of(path: str) -> Grants:
    draft = GrantsDraft()
    for filter_ in (f"em/out/{path}/+/#", f"em/state/{path}/#", f"em/ack/{path}/#"):
        draft.write(filter_, "its own")
    draft.read(f"em/in/{path}/#", "work for it")
    return draft.grants()


@dataclass
class World:
    rules: Rules = field(default_factory=lambda: Rules(retry_us=SECOND, retries_max=2, rate_per_s=10_000))
    now_us: int = 1_000 * SECOND
    broker_is_up: bool = True
    is_confirming: bool = True
    is_granting: bool = True
    sent: list[m.Packet] = field(default_factory=list)
    """To the node at address `a`, unless said otherwise."""
    published: list[tuple[str, bytes]] = field(default_factory=list)
    filters: dict[str, int] = field(default_factory=dict)
    will: Will | None = None
    finished: list[int] = field(default_factory=list)
    done: list[Effect] = field(default_factory=list)
    waiting_to_attach: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        nodes = {
            path.replace("/", "."): Node(
                Identity(path, grants_of(path)), self.rules, KNOWN, f"em/state/{path}", lambda status: status.encode()
            )
            for path in (TANK, PUMP)
        }
        self.gateway: Gateway[str] = Gateway(nodes, KNOWN, self.rules)

    @property
    def tank(self) -> Node:
        return self.gateway.nodes["home.tank"]

    def say(self, packet: m.Packet, sender: str = "a") -> list[m.Packet]:
        """What the node is answered, at once."""
        return self.raw(encode(packet), sender)

    def raw(self, datagram: bytes, sender: str = "a") -> list[m.Packet]:
        before = len(self.sent)
        name, answer = self.gateway.datagram(datagram, sender, self.now_us)
        if answer is not None:
            self.sent.append(decode(answer))
        if name is not None:
            self.settle(name)
        return self.sent[before:]

    def wait(self, seconds: float) -> list[m.Packet]:
        before, until_us = len(self.sent), self.now_us + int(seconds * SECOND)
        for _ in range(10_000):
            due_us = self.gateway.due_us()
            if due_us is None or due_us > until_us:
                break
            self.now_us = max(self.now_us, due_us)
            for name in list(self.gateway.advance(self.now_us)):
                self.settle(name)
        else:
            raise AssertionError("it does something again and again without time passing")
        self.now_us = until_us
        return self.sent[before:]

    def give(self, port: str, payload: bytes, qos: int = 1, receipt: int = 0, expires_s: float = 3600) -> list[m.Packet]:
        """A message of the broker for the tank."""
        before = len(self.sent)
        letter = Letter(f"em/in/{TANK}/{port}", payload, qos, False, receipt, self.now_us + int(expires_s * SECOND))
        self.tank.message(letter, self.now_us)
        self.settle("home.tank")
        return self.sent[before:]

    def connect(self, *, clean: bool = True, keepalive_s: int = 60, will: bool = False) -> list[m.Packet]:
        return self.say(m.Connect(m.Flags(clean=clean, will=will), 1, keepalive_s, b"home.tank"))

    def settle(self, name: str) -> None:
        node = self.gateway.nodes[name]
        while node.effects:
            effects, node.effects[:] = node.effects[:], []
            self.done += effects
            for effect in effects:
                self._do(name, node, effect)

    def _do(self, name: str, node: Node, effect: Effect) -> None:
        if isinstance(effect, Send):
            self.sent.append(decode(effect.datagram))
        elif isinstance(effect, Attach):
            self.will = effect.will
            if effect.clean:
                self.filters.clear()
            if self.broker_is_up:
                node.attached(self.now_us)
        elif isinstance(effect, Detach):
            if not effect.clean and self.will is not None:
                self.published.append((self.will.topic, self.will.payload))
        elif isinstance(effect, ToBroker):
            self.published.append((effect.topic, effect.payload))
            if effect.number and self.is_confirming:
                node.confirmed(effect.number)
        elif isinstance(effect, Listen):
            self.filters[effect.filter] = effect.qos
            if self.is_granting:
                node.granted(effect.filter, "")
        elif isinstance(effect, Unlisten):
            self.filters.pop(effect.filter, None)
        elif isinstance(effect, Finished):
            self.finished.append(effect.receipt)
