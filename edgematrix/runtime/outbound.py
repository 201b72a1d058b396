"""What the agents of a host want on the bus, before it becomes bytes."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable

import msgspec

from edgematrix.errors import CodecError
from edgematrix.protocol.codec import encode_event, encode_value
from edgematrix.protocol.duration import SECOND_US
from edgematrix.protocol.event import Event, Trail
from edgematrix.protocol.message import Publication
from edgematrix.protocol.moment import format_moment

__all__ = ["Outbound"]


class Outbound(msgspec.Struct, gc=False):
    """One publication. It is an event if `type` is set, else a bare payload.

    `at_us` is when it was made; `source` is the path of the agent that it is from.
    """

    topic: str
    value: object
    source: str
    at_us: int
    qos: int = 0
    retain: bool = False
    type: str = ""
    trail: Trail | None = None
    cause: str = ""
    sequence: int | None = None
    """Which piece of an output it is, from 1."""
    call_inputs: int | None = None
    """Of work that is called for elsewhere: how many input ports are given a value."""
    call_wants: str = ""
    """The output ports that are waited for, separated by spaces."""
    call_cancel: bool = False
    """Whether that is waited for no longer."""
    is_needed: bool = False
    """Whether somebody elsewhere would wait, or work, for ever without it: it leaves whatever room there is, for calls are bounded."""
    is_answer: bool = False
    """Whether somebody elsewhere has called for it."""
    epoch: int | None = None
    """That of the lease which stands behind it."""
    fresh_s: float | None = None
    """How long that lease still stands, unless it is renewed."""

    def publication(self, to_wall_us: Callable[[int], int]) -> Publication:
        """The bytes that travel.

        Args:
            to_wall_us: the wall clock's time at a moment of the host's timeline.

        Raises:
            CodecError: the value has no JSON form.
        """
        if not self.type:
            return Publication(self.topic, encode_value(self.value), self.qos, self.retain, fresh_s=self.fresh_s)
        at_us = to_wall_us(self.at_us)
        expiry_us = None if self.trail is None or self.trail.expiry_us is None else to_wall_us(self.trail.expiry_us)
        expiry_s = None if expiry_us is None else max(1, (expiry_us - at_us) // SECOND_US)
        return Publication(self.topic, encode_event(self._event(at_us, expiry_us)), self.qos, self.retain, expiry_s, fresh_s=self.fresh_s)

    def payload(self, to_wall_us: Callable[[int], int], epoch: int, sequence: int) -> bytes:
        """The bytes of an event of a durable edge.

        Args:
            to_wall_us: the wall clock's time at a moment of the host's timeline.
            epoch: that of the edge.
            sequence: its number within the epoch.

        Raises:
            CodecError: the value has no JSON form.
        """
        expiry_us = None if self.trail is None or self.trail.expiry_us is None else to_wall_us(self.trail.expiry_us)
        event = self._event(to_wall_us(self.at_us), expiry_us)
        return encode_event(msgspec.structs.replace(event, edgeepoch=epoch, sequence=sequence))

    def _event(self, at_us: int, expiry_us: int | None) -> Event:
        trail = self.trail
        if trail is None:
            raise CodecError(f"the event for {self.topic} has no trail")
        binary = self.value if isinstance(self.value, bytes) else None
        return Event(
            specversion="1.0",
            id=trail.id,
            source=f"/{self.source}",
            type=self.type,
            time=format_moment(at_us),
            data=msgspec.UNSET if binary is not None else self.value,
            data_base64=None if binary is None else b64encode(binary).decode(),
            runid=trail.runid,
            causeid=self.cause,
            hops=trail.hops,
            expirytime=None if expiry_us is None else format_moment(expiry_us),
            traceparent=trail.traceparent,
            taint=trail.taint,
            sequence=self.sequence,
            edgeepoch=self.epoch,
            callinputs=self.call_inputs,
            callwants=self.call_wants,
            callcancel=self.call_cancel,
        )
