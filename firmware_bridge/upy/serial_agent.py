"""An agent on a board without a network: it speaks over a serial line to a bridge, which gives it its path.

    agent = SerialAgent("thermometer", UART(1, 115200))
    agent.on("lamp", set_lamp)
    agent.every(10_000, lambda: agent.emit("temperature", read_sensor()))
    agent.run()

The other side is `edgematrix bridge serial`. What is spoken on the line is in docs/spec/serial.md.
"""

import select

from .serial_frame import PAYLOAD_MAX, Reader, pack
from .ticks import ticks_add, ticks_diff, ticks_ms
from .value import decode, encode

TYPE_CHECKING = False  # MicroPython has no typing
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["SerialAgent"]

_VERSION = 1
_HELLO, _HERE, _EMIT, _EVENT, _ACK = 1, 2, 3, 4, 5
_WHO, _WELCOME, _PING, _TAKEN, _COMMAND = 0x81, 0x82, 0x83, 0x84, 0x85
_DONE, _NO_PORT, _FAILED = b"\x00", b"\x01", b"\x03"
_ID = 4
_ERROR_MAX = 80
_PERIOD_MS_MAX = 86_400_000
_STEP_MS_MAX = 60_000


class SerialAgent:
    """One device on a line.

    `stream` is a UART, or anything with `read(n)`, `write(bytes)` and a place in `select.poll`. `name` is the last part of its path,
    or empty for any. `address` tells it from others on the same line. `ids_max` is how many commands are remembered so that one that
    comes again is not carried out again, `events_max` how many events wait; `again_ms` is how long one,
    or a greeting, waits for its answer.
    """

    def __init__(
        self,
        name: str,
        stream: "Any",
        *,
        address: int = 0,
        ports_max: int = 16,
        ids_max: int = 8,
        events_max: int = 8,
        again_ms: int = 500,
        room: int = PAYLOAD_MAX,
    ) -> None:
        self._name = name
        self._stream = stream
        self._address = address
        self._ports_max = ports_max
        self._ids_max = ids_max
        self._events_max = events_max
        self._again_ms = again_ms
        self._room = room
        self._ports: "list[str]" = []
        self._handlers: "dict[int, Callable[[object], object]]" = {}
        self._timers: "list[list[Any]]" = []  # [when due, period, function]
        self._done: "list[tuple[bytes, bytes]]" = []
        self._reader = Reader()
        self._session = 0
        self._emitted = 0
        self._events = 0
        self._waiting: "list[bytes]" = []  # events; the first one is being sent
        self._again = ticks_ms()
        self._running = False
        self._poller = select.poll()
        self._poller.register(stream, select.POLLIN)
        self.unsent = 0
        """Values that were lost because no bridge was there."""

    @property
    def welcome(self) -> bool:
        """Whether a bridge has taken us in."""
        return self._session != 0

    @property
    def pending(self) -> int:
        """How many events wait to be taken."""
        return len(self._waiting)

    def on(self, port: str, handler: "Callable[[object], object]") -> None:
        """Call `handler(value)` for each command on the input port; one that raises has refused it.

        Raises:
            ValueError: the name is taken, there are `ports_max` ports, or they do not fit into one frame.
        """
        self._handlers[self._claim("<" + port)] = handler

    def output(self, port: str, *, retain: bool = False) -> None:
        """Have an output port; to be called before the first `step`, so that the bridge hears of it.

        Raises:
            ValueError: as `on`.
        """
        self._claim(("=" if retain else ">") + port)

    def emit(self, port: str, value: object) -> bool:
        """Send a value; False if it is lost because no bridge is there.

        Raises:
            ValueError: there is no such output, the value has no JSON form, or it is too large.
        """
        payload = self._payload(port, value)
        if not self._session:
            self.unsent += 1
            return False
        self._emitted = (self._emitted + 1) & 0xFF
        self._write(_EMIT, payload, self._emitted)
        return True

    def event(self, port: str, value: object) -> bool:
        """Send a value again and again until the bridge says that the broker has it, one after the other; False if too many wait.

        Raises:
            ValueError: as `emit`.
        """
        payload = self._payload(port, value)
        if len(self._waiting) >= self._events_max:
            return False
        self._waiting.append(payload)
        if len(self._waiting) == 1:
            self._next_event()
        return True

    def _next_event(self) -> None:
        self._events = (self._events + 1) & 0xFF
        if self._session:
            self._repeat()

    def every(self, period_ms: int, function: "Callable[[], object]") -> None:
        """Call a function on a grid of `period_ms` from now on; missed calls are not made up.

        Raises:
            ValueError: the period is not from 1 ms to a day, or there are `ports_max` timers already.
        """
        if not 1 <= period_ms <= _PERIOD_MS_MAX or len(self._timers) >= self._ports_max:
            raise ValueError("a period is 1 ms to a day, and there are at most %d timers" % self._ports_max)
        self._timers.append([ticks_add(ticks_ms(), period_ms), period_ms, function])

    def run(self) -> None:
        """Work until `stop`."""
        self._running = True
        while self._running:
            self.step(_STEP_MS_MAX)

    def stop(self) -> None:
        """End `run`; to be called from a handler or a timer."""
        self._running = False

    def step(self, wait_ms: int = 0) -> None:
        """Do what is due, and wait at most `wait_ms` for something to do.

        Raises:
            OSError: the line is gone.
        """
        for _ in self._poller.poll(max(0, min(wait_ms, self._rest_ms()))):
            data = self._read()
            for frame in self._reader.feed(data):
                self._take(*frame)
        now = ticks_ms()
        if ticks_diff(now, self._again) >= 0:
            self._repeat()
        for timer in self._timers:
            late_ms = ticks_diff(now, timer[0])
            if late_ms >= 0:
                timer[0] = ticks_add(timer[0], (late_ms // timer[1] + 1) * timer[1])
                timer[2]()

    def _read(self) -> bytes:
        """What is there, without waiting for more.

        Raises:
            OSError: there is nothing, and will be nothing: a pipe or a socket in place of the line was closed.
        """
        count = self._stream.any() if hasattr(self._stream, "any") else 1
        data = self._stream.read(count)
        if data == b"" and count:
            raise OSError("the line was closed")
        return data or b""

    def _rest_ms(self) -> int:
        now = ticks_ms()
        rest_ms = _STEP_MS_MAX
        if not self._session or self._waiting:
            rest_ms = ticks_diff(self._again, now)
        for timer in self._timers:
            rest_ms = min(rest_ms, ticks_diff(timer[0], now))
        return rest_ms

    def _repeat(self) -> None:
        """Say once more what was not answered."""
        if not self._session:
            self._hello()
        elif self._waiting:
            self._write(_EVENT, self._waiting[0], self._events)
        self._again = ticks_add(ticks_ms(), self._again_ms)

    def _hello(self) -> None:
        head = bytes((_VERSION, self._session >> 8, self._session & 0xFF, self._room))
        self._write(_HELLO, head + " ".join([self._name] + self._ports).encode())

    def _take(self, address: int, kind: int, number: int, payload: bytes) -> None:
        if address != self._address or not kind & 0x80:
            return
        if kind == _WHO:
            self._hello()
        elif kind == _WELCOME and len(payload) == 2:
            self._session = payload[0] << 8 | payload[1]
            self._here()
            if self._waiting:
                self._repeat()
        elif not self._session:
            return
        elif kind == _PING:
            if payload == bytes((self._session >> 8, self._session & 0xFF)):
                self._here()
            else:
                self._hello()
        elif kind == _TAKEN and number == self._events and self._waiting:
            del self._waiting[0]
            if self._waiting:
                self._next_event()
        elif kind == _COMMAND and len(payload) > _ID:
            self._command(bytes(payload[:_ID]), payload[_ID], payload[_ID + 1 :])

    def _here(self) -> None:
        damaged = sum(self._reader.damaged.values()) & 0xFFFF
        self._write(_HERE, bytes((self._session >> 8, self._session & 0xFF, damaged >> 8, damaged & 0xFF)))

    def _command(self, command_id: bytes, port: int, value: bytes) -> None:
        for known, result in self._done:
            if known == command_id:
                self._write(_ACK, known + result)
                return
        result = self._carry_out(port, value)
        self._done.append((command_id, result))
        if len(self._done) > self._ids_max:
            del self._done[0]
        self._write(_ACK, command_id + result)

    def _carry_out(self, port: int, value: bytes) -> bytes:
        handler = self._handlers.get(port)
        if handler is None:
            return _NO_PORT
        try:
            handler(decode(value))
        except Exception as error:
            return _FAILED + ("%s: %s" % (type(error).__name__, error)).encode()[:_ERROR_MAX]
        return _DONE

    def _payload(self, port: str, value: object) -> bytes:
        for mark in (">", "="):
            if mark + port in self._ports:
                payload = bytes((self._ports.index(mark + port),)) + encode(value)
                if len(payload) > PAYLOAD_MAX:
                    raise ValueError("a value of %d bytes, %d is the most" % (len(payload) - 1, PAYLOAD_MAX - 1))
                return payload
        raise ValueError("there is no output %s" % port)

    def _claim(self, port: str) -> int:
        if port[1:] in [known[1:] for known in self._ports]:
            raise ValueError("the port %s is taken" % port[1:])
        text = " ".join([self._name] + self._ports + [port])
        if len(self._ports) >= self._ports_max or len(text) + _ID > PAYLOAD_MAX:
            raise ValueError("there are %d ports already, and no room for more" % len(self._ports))
        self._ports.append(port)
        return len(self._ports) - 1

    def _write(self, kind: int, payload: bytes = b"", number: int = 0) -> None:
        self._stream.write(pack(self._address, kind, number, payload))
