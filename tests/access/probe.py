"""Tries everything that a client can do on every topic, and tells what got through: at the administrator, or at the one who tries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, field

from guarded_broker import ADMIN, GuardedBroker, password_of
from wire_client import Attempt, Closed, WireClient, make

from edgematrix.access.dynamic_security import COMMAND_TOPIC
from edgematrix.access.grant import Access

_PUBLICATIONS = (("publish", 0), ("publish_qos1_retained", 1))
_ALL = (
    *("#", "+", "+/#", "+/+", "+/+/+", "+/+/+/+", "+/+/+/+/+", "+/+/+/+/+/+", "em/#", "em/+/#", "em/+/plant/#", "em/+/+/+/+/+"),
    *("$SYS/#", "$CONTROL/#", "$other/#", "$MQTT/#", "$JS/#"),
)
WILDCARDS = (*_ALL, *(f"$share/{{user}}/{name}" for name in _ALL))
ACTIONS = ("publish", "publish_qos1_retained", "will", "read", "read_retained")


_ORDER = b'{"commands":[{"command":"createRole","rolename":"stolen"}]}'


@dataclass
class Outcome:
    """For each action and principal, the topics that got through."""

    through: dict[str, dict[str, set[str]]] = field(default_factory=lambda: {action: defaultdict(set) for action in ACTIONS})
    wills: dict[str, set[str]] = field(default_factory=dict)
    """The topics of the wills that were tried."""
    retained_by: dict[str, str] = field(default_factory=dict)
    """Whose retained message each topic has, after all have tried one after another."""
    not_heard: dict[str, set[str]] = field(default_factory=dict)
    """What a principal did not get that subscribed to what it is granted and nothing else."""


class Probe:
    """All attempts on one broker.

    Args:
        topics: on which everything is tried.
        whole: users for whom each attempt that should be refused is made, on every topic; for the others only what should get through,
            and all that can be read.
        wills_of_nats: which part of the wills is tried on NATS, which needs a millisecond for each connection: one of so many.
    """

    def __init__(self, broker: GuardedBroker, topics: Sequence[str], whole: Collection[str], wills_of_nats: int = 1) -> None:
        self._broker = broker
        self._topics = topics
        self._whole = whole
        self._wills_of_nats = wills_of_nats
        self._outcome = Outcome()
        self._users = [principal.name for principal in broker.principals]
        self._number = 0
        self._observer = broker.connect(ADMIN)
        self._observer.subscribe(["#", "$other/#"])

    def run(self) -> Outcome:
        for principal in self._broker.principals:
            granted = [topic for topic in self._topics if principal.grants.allows(Access.WRITE, topic)]
            known = set(granted)
            refused = [topic for topic in self._topics if topic not in known] if principal.name in self._whole else []
            self._try_one(principal.name, granted, refused)
        self._look_at_retained()
        self._read()
        self._observer.close()
        return self._outcome

    def _try_one(self, user: str, granted: Sequence[str], refused: Sequence[str]) -> None:
        if self._broker.form == "nats":
            self._publish(user, [*granted, *(topic for topic in refused if not topic.startswith("$"))])
            for topic in refused:
                if topic.startswith("$"):
                    self._one_after_another(user, topic)
            refused = refused[:: self._wills_of_nats]
            granted = granted[:: self._wills_of_nats]
            self._attempt(user, refused, publish=False)
        else:
            # mosquitto 2.0.11 ends the connection of who publishes what it may not.
            self._publish(user, granted)
            self._attempt(user, refused, publish=True)
        self._attempt(user, granted, publish=False)
        self._outcome.wills[user] = {*granted, *refused}
        self._wait_for_wills(user, set(granted))
        self._wait_for_last()
        for message in self._observer.taken():
            action, _, name = message.payload.decode(errors="replace").partition(" ")
            if action in ACTIONS and name == user:
                self._outcome.through[action][user].add(message.topic)

    def _publish(self, user: str, topics: Sequence[str]) -> None:
        client = self._broker.connect(user)
        for action, qos in _PUBLICATIONS:
            client.publish([(topic, f"{action} {user}".encode()) for topic in topics], retain=bool(qos), qos=qos)
        client.barrier()
        client.close()

    def _one_after_another(self, user: str, topic: str) -> None:
        """On a connection of its own, which the broker may end for it."""
        for action, qos in _PUBLICATIONS:
            client = self._broker.connect(user)
            try:
                client.publish([(topic, _ORDER if topic == COMMAND_TOPIC else f"{action} {user}".encode())], retain=bool(qos), qos=qos)
                client.barrier()
            except Closed:
                pass
            client.close()

    def _attempt(self, user: str, topics: Sequence[str], *, publish: bool) -> None:
        make(self._broker.process.port, (self._one(user, topic, number, publish=publish) for number, topic in enumerate(topics)))

    def _one(self, user: str, topic: str, number: int, *, publish: bool) -> Attempt:
        action, qos = _PUBLICATIONS[number % 2]
        payload = (_ORDER if topic == COMMAND_TOPIC else f"{action} {user}".encode()) if publish else None
        self._number += 1
        return Attempt(f"one{self._number}", user, password_of(user), topic, f"will {user}".encode(), payload, qos, bool(qos))

    def _wait_for_wills(self, user: str, granted: AbstractSet[str]) -> None:
        """Wait for those that are granted: nats-server deals with several who go at once, in no order. What never comes is missing."""
        wanted = f"will {user}".encode()

        def all_came() -> bool:
            return granted <= {message.topic for message in self._observer.messages if message.payload == wanted}

        with suppress(TimeoutError):
            self._observer.until(all_came)

    def _wait_for_last(self) -> None:
        """Wills of the administrator's own, set after all others: the broker deals with those who go in turn."""
        for _ in range(2):
            self._number += 1
            topic = f"probe/last/{self._number}"
            self._broker.connect(ADMIN, will=(topic, b"last", False)).drop()
            self._observer.until(lambda topic=topic: any(message.topic == topic for message in self._observer.messages))
        self._observer.barrier()

    def _look_at_retained(self) -> None:
        late = self._broker.connect(ADMIN)
        late.subscribe(["#", "$other/#"])
        late.barrier()
        for message in late.taken():
            if message.payload.startswith(b"publish"):
                assert message.payload.startswith(b"publish_qos1_retained "), message
                self._outcome.retained_by[message.topic] = message.payload.decode().partition(" ")[2]
        late.close()

    def _read(self) -> None:
        admin = self._broker.connect(ADMIN)
        usable = [topic for topic in self._topics if not topic.startswith("$")]
        admin.publish([(topic, b"kept") for topic in usable], retain=True)
        admin.barrier()
        readers, greedy = {}, {}
        for principal in self._broker.principals:
            user = principal.name
            readers[user] = self._subscribed(user, [grant.filter for grant in principal.grants if grant.access is Access.READ])
            greedy[user] = self._subscribed(user, [*usable, *(name.format(user=user) for name in WILDCARDS)])
        for user, client in greedy.items():
            client.barrier()
            self._outcome.through["read_retained"][user] = {message.topic for message in client.taken() if message.retained}
        for client in readers.values():
            client.barrier()
            client.taken()
        admin.publish([(topic, b"live") for topic in (*usable, "$other/x")])
        admin.barrier()
        for user, client in greedy.items():
            client.barrier()
            self._outcome.through["read"][user] = {message.topic for message in client.taken()}
        for user, client in readers.items():
            client.barrier()
            heard = {message.topic for message in client.taken()}
            self._outcome.not_heard[user] = self._outcome.through["read"][user] ^ heard
        for client in (*readers.values(), *greedy.values(), admin):
            client.close()

    def _subscribed(self, user: str, filters: Iterable[str]) -> WireClient:
        client = self._broker.connect(user)
        client.subscribe(list(filters))
        return client
