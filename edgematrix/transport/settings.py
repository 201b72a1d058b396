"""How a client presents itself to a broker, and its bounds."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from edgematrix.errors import UsageError
from edgematrix.protocol.message import Publication
from edgematrix.transport.connection import Backoff

__all__ = ["Settings", "check_client_id"]

_CLIENT_ID = re.compile(r"[^\s.*>#+\x00-\x1f\x7f]{1,128}")


def check_client_id(client_id: str) -> str:
    """Return `client_id` if every broker takes it.

    NATS refuses spaces, `.`, `*` and `>`; wildcards would widen access lists that hold the client id (`%c`).

    Raises:
        UsageError: it is empty, longer than 128 characters, or holds one of those.
    """
    if _CLIENT_ID.fullmatch(client_id) is None:
        raise UsageError(f"client id {client_id[:140]!r} must be 1 to 128 characters, without spaces, '.', '*', '>', '#', '+'")
    return client_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a connection is made with. Times are in seconds.

    Raises:
        UsageError: the client id is not one that every broker takes, or a number is out of its range.
    """

    client_id: str
    will: Publication | None = None
    """What the broker publishes for us when the connection breaks."""
    session_expiry_s: int = 0
    """How long the broker keeps subscriptions and QoS 1 messages while we are away; 0: a clean session each time."""
    keepalive_s: int = 15
    """A link on which a ping has had no answer for this long is dead."""
    connect_timeout_s: float = 5.0
    close_timeout_s: float = 2.0
    acks_held: bool = False
    """Acknowledge QoS 1 messages only when the owner says so (`Transport.acknowledge`)."""
    inflight_max: int = 100
    """QoS 1 messages that are sent without a PUBACK; the broker may allow fewer (MQTT 5)."""
    receive_max: int = 1_000
    """QoS 1 messages that the broker may send without our PUBACK (MQTT 5)."""
    outbox_messages_max: int = 10_000
    outbox_bytes_max: int = 64 * 1024 * 1024
    packet_bytes_max: int = 1024 * 1024 + 65_536
    """A payload of 1 MiB and its topic. An MQTT 5 broker does not send more; what other brokers send is thrown away as it comes."""
    not_ours: frozenset[str] = frozenset()
    """Filters on which what this client itself publishes is not wanted back (MQTT 5, No Local); other brokers send it all the same."""
    characters_refused: str = ""
    """Characters that the broker carries in no topic, as NATS does with the space."""
    backoff: Backoff = field(default_factory=Backoff)

    def __post_init__(self) -> None:
        check_client_id(self.client_id)
        for name, least, most in (
            ("session_expiry_s", 0, 0xFFFFFFFF),
            ("keepalive_s", 1, 0xFFFF),
            ("inflight_max", 1, 0x7FFF),
            ("receive_max", 1, 0xFFFF),
            ("outbox_messages_max", 0, 10_000_000),
            ("packet_bytes_max", 128, 268_435_460),
        ):
            if not least <= getattr(self, name) <= most:
                raise UsageError(f"{name} is {getattr(self, name)}, it has to be from {least} to {most}")
        if self.will is not None and self.will.qos not in (0, 1):
            raise UsageError(f"the will has QoS {self.will.qos}, it has to be 0 or 1", where=self.will.topic)
