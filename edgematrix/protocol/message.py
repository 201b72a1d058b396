"""A message as the parts of a host hand it to one another, and a publication as it goes out."""

from __future__ import annotations

import msgspec

from edgematrix.protocol.event import Trail

__all__ = ["NO_TRAIL", "Message", "Publication"]

NO_TRAIL = Trail()


class Message(msgspec.Struct, gc=False):
    """What came in on a topic, decoded.

    `value` is the bare payload (a JSON value, a string, or bytes) or the `data` of an event.
    `retained` is the flag as delivered. `time_us` is the event's own time, None for a bare payload.
    `source` is the path that an event claims, empty for a bare payload.
    `sequence`, `epoch`, `base`, `call_inputs`, `call_wants` and `call_cancel` are those of an event which has them (`Event`).
    """

    topic: str
    value: object
    retained: bool = False
    qos: int = 0
    time_us: int | None = None
    trail: Trail = NO_TRAIL
    source: str = ""
    sequence: int | None = None
    epoch: int | None = None
    base: int | None = None
    call_inputs: int | None = None
    call_wants: str = ""
    call_cancel: bool = False


class Publication(msgspec.Struct, gc=False):
    """What goes out to the bus. `payload` is what travels, byte for byte."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    expiry_s: int | None = None
    """MQTT 5 message expiry, seconds; brokers and protocol versions without it ignore it."""
    number: int = 0
    """By which whoever publishes it wants to hear that the broker has it (`Link.confirmed`, QoS 1); 0: nobody asks."""
    fresh_s: float | None = None
    """It leaves within so many seconds, and on the connection that stands, or not at all: for what a lease has to stand behind."""
    is_lasting: bool = False
    """Whether it is sent again until its receivers have it, however long that takes: its signature ends at no moment."""
