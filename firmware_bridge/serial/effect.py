"""What a device's state machine wants to be done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from firmware_bridge.receipts import Finished

__all__ = ["Answer", "Committed", "Effect", "Publish", "Send", "Tell"]


@dataclass(frozen=True, slots=True)
class Send:
    """A frame over the line."""

    frame: bytes


@dataclass(frozen=True, slots=True)
class Publish:
    """A value of an output port; `number` is not 0 where the device waits for the broker's word (`Device.confirmed`)."""

    port: str
    value: bytes
    retain: bool
    number: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """To whoever sent a command with an id: it is done, or refused with the reason."""

    id: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class Committed:
    """A command of a durable edge has come to its end."""

    edge: str
    epoch: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Tell:
    """The device's state, or its counts, have changed."""


Effect: TypeAlias = Send | Publish | Answer | Committed | Finished | Tell
