"""What a node's state machine wants to have done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from firmware_bridge.receipts import Finished

__all__ = ["Attach", "Detach", "Effect", "Listen", "Send", "Tell", "ToBroker", "Unlisten", "Will"]


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes when the node is lost."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = True


@dataclass(frozen=True, slots=True)
class Send:
    """A datagram to the node."""

    datagram: bytes


@dataclass(frozen=True, slots=True)
class Attach:
    """Connect to the broker as the node, in the place of a connection that there may be. `clean`: nothing is kept of a former session."""

    will: Will | None
    clean: bool


@dataclass(frozen=True, slots=True)
class Detach:
    """End the node's connection; unless it is `clean`, the broker publishes the will."""

    clean: bool


@dataclass(frozen=True, slots=True)
class ToBroker:
    """Publish. `number` is told back when the broker has it; 0: nobody waits."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    number: int = 0


@dataclass(frozen=True, slots=True)
class Listen:
    """Subscribe."""

    filter: str
    qos: int


@dataclass(frozen=True, slots=True)
class Unlisten:
    """Subscribe no more."""

    filter: str


@dataclass(frozen=True, slots=True)
class Tell:
    """A sentence for people."""

    text: str


Effect: TypeAlias = Send | Attach | Detach | ToBroker | Listen | Unlisten | Finished | Tell
