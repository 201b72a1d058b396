"""What a device says on its output ports: each value once, and no more than its rate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from firmware_bridge.serial.effect import Effect, Publish
from firmware_bridge.serial.hello import Port
from firmware_bridge.serial.kind import Kind
from firmware_bridge.serial.pace import Pace
from firmware_bridge.serial.rate import Rate

__all__ = ["Intake"]

_NUMBERS = 256


class Intake:
    """Takes EMIT and EVENT of one device.

    Args:
        pace: the bounds.
        counts: where is counted what is not taken, by its reason.
        do: what is to be done.
        send: sends a frame of a kind with a number.
    """

    def __init__(self, pace: Pace, counts: Counter[str], do: Callable[[Effect], None], send: Callable[[Kind, int], None]) -> None:
        self.ports: tuple[Port, ...] = ()
        self._rate = Rate(pace.rate_per_s, pace.burst)
        self._counts = counts
        self._do = do
        self._send = send
        self._emitted: int | None = None
        """The number of the newest EMIT."""
        self._event: int | None = None
        """The number of the newest EVENT."""
        self._pending = 0
        """What the broker is asked about; 0 if nothing is."""
        self._asked = 0

    def begin(self) -> None:
        """The device counts from anew."""
        self._emitted = None
        self._event = None
        self._pending = 0

    def emit(self, number: int, payload: bytes, now_us: int) -> None:
        """A value that nobody waits for."""
        if number == self._emitted:
            self._counts["repeated"] += 1
            return
        port = self._port(payload)
        if port is None:
            return
        if self._emitted is not None:
            self._counts["lost"] += (number - self._emitted - 1) % _NUMBERS
        self._emitted = number
        if self._rate.takes(now_us):
            self._counts["emitted"] += 1
            self._do(Publish(port.name, payload[1:], port.is_retained))
        else:
            self._counts["flood"] += 1

    def event(self, number: int, payload: bytes, now_us: int) -> None:
        """A value that the device sends until it hears that it is safe."""
        if number == self._event:
            self._counts["repeated"] += 1
            if not self._pending:
                self._send(Kind.TAKEN, number)
            return
        port = self._port(payload)
        if port is None:
            return
        if not self._rate.takes(now_us):
            self._counts["slowed"] += 1  # it comes again, for nobody said that it was taken
            return
        self._event = number
        self._asked += 1
        self._pending = self._asked
        self._counts["emitted"] += 1
        self._do(Publish(port.name, payload[1:], port.is_retained, self._asked))

    def confirmed(self, number: int) -> None:
        """The broker has it."""
        if number == self._pending and self._event is not None:
            self._pending = 0
            self._send(Kind.TAKEN, self._event)

    def _port(self, payload: bytes) -> Port | None:
        port = self.ports[payload[0]] if payload and payload[0] < len(self.ports) else None
        if port is None or port.is_input:
            self._counts["no_port"] += 1
            return None
        return port
