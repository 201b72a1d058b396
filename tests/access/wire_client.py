"""A small MQTT 3.1.1 client that does what it is told and nothing else: what a broker refuses is for the test to see."""

from __future__ import annotations

import select
import selectors
import socket
import ssl
import struct
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

_WAIT_S = 60.0
_READ_BYTES = 1 << 18
_FILTERS_AT_ONCE = 200


class Closed(Exception):  # noqa: N818 - it is what happened
    """The broker ended the connection."""


@dataclass(frozen=True)
class Message:
    topic: str
    payload: bytes
    retained: bool


@dataclass
class WireClient:
    """One connection. What comes in is gathered in `messages` until somebody takes it."""

    port: int
    client_id: str
    user: str | None = None
    password: str | None = None
    will: tuple[str, bytes, bool] | None = None
    clean: bool = True
    context: ssl.SSLContext | None = None
    messages: list[Message] = field(default_factory=list)
    session_present: bool = False
    refusal: int = 0
    """The return code of the CONNACK; 0 where it was taken in."""

    def __post_init__(self) -> None:
        self._buffer = bytearray()
        self._socket: socket.socket | ssl.SSLSocket = socket.create_connection(("127.0.0.1", self.port), timeout=_WAIT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.context is not None:
            self._socket = self.context.wrap_socket(self._socket, server_hostname="localhost")
        self._packet = 0
        self._acks: dict[int, bytes] = {}
        self._pongs = 0
        self.greeted = False

    def ask(self) -> WireClient:
        """Send CONNECT, and wait for nothing."""
        self._write(self.greeting())
        return self

    def greeting(self) -> bytes:
        """The CONNECT packet."""
        flags = 0x02 if self.clean else 0
        body = _text(self.client_id)
        if self.will is not None:
            topic, payload, retained = self.will
            flags |= 0x04 | (0x20 if retained else 0)
            body += _text(topic) + struct.pack(">H", len(payload)) + payload
        if self.user is not None:
            flags |= 0x80
            body += _text(self.user)
        if self.password is not None:
            flags |= 0x40
            body += _text(self.password)
        return _packet(0x10, _text("MQTT") + bytes((4, flags)) + struct.pack(">H", 0) + body)

    def connect(self) -> WireClient:
        """Connect, and wait for the answer."""
        self.ask()
        self.until(lambda: self.greeted)
        return self

    def subscribe(self, filters: Sequence[str], qos: int = 0) -> dict[str, int]:
        """Ask for all; what the broker answered to each: its QoS, or 128."""
        answers: dict[str, int] = {}
        for first in range(0, len(filters), _FILTERS_AT_ONCE):
            part = filters[first : first + _FILTERS_AT_ONCE]
            number = self._number()
            self._send(0x82, struct.pack(">H", number) + b"".join(_text(name) + bytes((qos,)) for name in part))
            self.until(lambda number=number: number in self._acks)
            answers.update(zip(part, self._acks.pop(number), strict=True))
        return answers

    def publish(self, topics: Iterable[tuple[str, bytes]], *, retain: bool = False, qos: int = 0) -> None:
        """Send all of them, taking in what comes meanwhile."""
        out = bytearray()
        head = 0x30 | (qos << 1) | retain
        for topic, payload in topics:
            number = struct.pack(">H", self._number()) if qos else b""
            out += _packet(head, _text(topic) + number + payload)
            if len(out) > 1 << 15:
                self._write(out)
                out = bytearray()
        self._write(out)

    def barrier(self) -> None:
        """Wait until the broker has handled all that was sent, and all that it had for us is here."""
        wanted = self._pongs + 1
        self._send(0xC0, b"")
        self.until(lambda: self._pongs >= wanted)

    def taken(self) -> list[Message]:
        """What came in since the last time."""
        found, self.messages = self.messages, []
        return found

    def until(self, done) -> None:
        give_up_at = time.monotonic() + _WAIT_S
        while not done():
            if time.monotonic() > give_up_at:
                raise TimeoutError(f"{self.client_id} hears nothing from the broker")
            self._read(1.0)

    def drop(self) -> None:
        """Break off, so that the broker sends the will."""
        self._socket.close()

    def close(self) -> None:
        """Leave in order."""
        try:
            self._send(0xE0, b"")
        except OSError:
            pass
        self._socket.close()

    def __del__(self) -> None:
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def _number(self) -> int:
        self._packet = self._packet % 65_535 + 1
        return self._packet

    def _send(self, head: int, body: bytes) -> None:
        self._write(_packet(head, body))

    def _write(self, data: bytes | bytearray) -> None:
        view = memoryview(data)
        self._socket.setblocking(False)
        try:
            while view:
                try:
                    view = view[self._socket.send(view) :]
                except (BlockingIOError, ssl.SSLWantWriteError):
                    select.select([self._socket], [self._socket], [], _WAIT_S)
                    self._read(0)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed(str(error)) from error
        finally:
            self._socket.setblocking(True)

    def _read(self, wait_s: float) -> None:
        pending = isinstance(self._socket, ssl.SSLSocket) and self._socket.pending()
        if not pending and not select.select([self._socket], [], [], wait_s)[0]:
            return
        try:
            data = self._socket.recv(_READ_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except ConnectionResetError as error:
            raise Closed(str(error)) from error
        if not data:
            raise Closed(f"the broker ended the connection of {self.client_id}")
        self._buffer += data
        self._cut()

    def _cut(self) -> None:
        buffer, at = self._buffer, 0
        while len(buffer) - at >= 2:
            length, shift, place = 0, 0, at + 1
            while place < len(buffer):
                byte = buffer[place]
                length |= (byte & 127) << shift
                shift, place = shift + 7, place + 1
                if byte < 128:
                    break
            else:
                break
            if len(buffer) - place < length:
                break
            self._take(buffer[at], bytes(buffer[place : place + length]))
            at = place + length
        del buffer[:at]

    def _take(self, head: int, body: bytes) -> None:
        kind = head >> 4
        if kind == 2:
            self.greeted, self.session_present, self.refusal = True, bool(body[0] & 1), body[1]
        elif kind == 3:
            size = int.from_bytes(body[:2], "big")
            qos, rest = head >> 1 & 3, body[2 + size :]
            if qos:
                number, rest = rest[:2], rest[2:]
                self._send(0x40, number)
            self.messages.append(Message(body[2 : 2 + size].decode(), rest, bool(head & 1)))
        elif kind == 9:
            self._acks[int.from_bytes(body[:2], "big")] = body[2:]
        elif kind == 13:
            self._pongs += 1


@dataclass(frozen=True)
class Attempt:
    """A connection with a will, which publishes on the same topic if it has a payload for that, and breaks off."""

    client_id: str
    user: str
    password: str
    topic: str
    will: bytes
    payload: bytes | None = None
    qos: int = 0
    retain: bool = False

    def packets(self) -> bytes:
        flags = 0x02 | 0x04 | 0x80 | 0x40
        body = (
            _text(self.client_id)
            + _text(self.topic)
            + struct.pack(">H", len(self.will))
            + self.will
            + _text(self.user)
            + _text(self.password)
        )
        found = _packet(0x10, _text("MQTT") + bytes((4, flags)) + struct.pack(">H", 0) + body)
        if self.payload is not None:
            number = struct.pack(">H", 1) if self.qos else b""
            found += _packet(0x30 | self.qos << 1 | self.retain, _text(self.topic) + number + self.payload)
        return found + _packet(0xC0, b"")


def make(port: int, attempts: Iterable[Attempt], *, at_once: int = 64) -> None:
    """Make all attempts, many at a time; each is over when the broker answers the ping at its end, or ends the connection."""
    selector = selectors.DefaultSelector()
    waiting = iter(attempts)
    open_now = 0
    while True:
        while open_now < at_once and (attempt := next(waiting, None)) is not None:
            connection = socket.create_connection(("127.0.0.1", port), timeout=_WAIT_S)
            connection.sendall(attempt.packets())
            connection.setblocking(False)
            selector.register(connection, selectors.EVENT_READ, bytearray())
            open_now += 1
        if not open_now:
            return
        ready = selector.select(_WAIT_S)
        if not ready:
            raise TimeoutError("the broker does not answer")
        for key, _ in ready:
            try:
                data = key.fileobj.recv(4096)
            except ConnectionResetError:
                data = b""
            key.data.extend(data)
            if not data or key.data.endswith(b"\xd0\0"):
                selector.unregister(key.fileobj)
                key.fileobj.close()
                open_now -= 1


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">H", len(data)) + data


def _packet(head: int, body: bytes) -> bytes:
    length, size = len(body), bytearray()
    while True:
        length, byte = divmod(length, 128)
        size.append(byte | (128 if length else 0))
        if not length:
            return bytes((head, *size)) + body
