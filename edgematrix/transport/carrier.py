"""Bytes to and from a socket, on the event loop: TLS and back-pressure are asyncio's.

What is written during one turn of the loop leaves in one piece. asyncio sets TCP_NODELAY by itself.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Protocol

from edgematrix.errors import ProtocolError
from edgematrix.transport.frame import Reader
from edgematrix.transport.tls_trouble import tls_trouble

__all__ = ["Carrier", "CarrierOwner"]

_READ_BYTES = 65_536
_WRITE_HIGH_BYTES = 262_144
_CONNACK = 0x20
_LINGER_NOT = struct.pack("ii", 1, 0)
"""Close by a reset (socket(7), SO_LINGER with a time-out of 0)."""


class CarrierOwner(Protocol):
    """Who is told how the carrier fares."""

    def writable(self, carrier: Carrier) -> None:
        """What was written has drained; more may be written."""

    def gone(self, carrier: Carrier, reason: str) -> None:
        """The connection is gone; said once."""


class Carrier(asyncio.BufferedProtocol):
    """One connection to a broker.

    Args:
        owner: is told when it drains and when it ends.
        reader: cuts what comes in.
        silence_max_s: how long sent bytes may stay unconfirmed by the other side's TCP, where the system can watch that.
    """

    def __init__(self, owner: CarrierOwner, reader: Reader, silence_max_s: float) -> None:
        self.out = bytearray()
        """What leaves at the end of this turn. Who appends to it calls `schedule`."""
        self.full = False
        """Whether the socket takes no more for now."""
        self._owner = owner
        self._reader = reader
        self._silence_max_s = silence_max_s
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._buffer = memoryview(bytearray(_READ_BYTES))
        self._scheduled = False
        self._begun = False
        self._reason = ""
        self._told = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is connected."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a stream protocol gets a stream transport
        self._transport = transport
        transport.set_write_buffer_limits(high=_WRITE_HIGH_BYTES)
        raw = transport.get_extra_info("socket")
        if raw is not None and raw.family != getattr(socket, "AF_UNIX", None) and hasattr(socket, "TCP_USER_TIMEOUT"):
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(self._silence_max_s * 1000))

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's hint is -1
        """Where asyncio puts what comes in."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes came in."""
        data = self._buffer[:nbytes].tobytes()
        if not self._begun:
            if data[0] != _CONNACK:
                self.abort(f"what answers is no MQTT broker: it began with {data[:32]!r}")
                return
            self._begun = True
        self._scheduled = True
        try:
            self._reader.feed(data)
        except ProtocolError as error:
            self.abort(error.what)
        self._scheduled = False
        if self.out:
            self.flush()

    def write(self, data: bytes | bytearray) -> None:
        """Let these bytes leave at the end of this turn."""
        self.out += data
        self.schedule()

    def schedule(self) -> None:
        """Let `out` leave at the end of this turn."""
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush_scheduled)

    def flush(self) -> None:
        """Let `out` leave now."""
        out, self.out = self.out, bytearray()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(out)

    def pause_writing(self) -> None:
        """The socket's buffer is full."""
        self.full = True

    def resume_writing(self) -> None:
        """The socket's buffer has drained."""
        self.full = False
        if not self._told:
            self._owner.writable(self)

    def peer_certificate(self) -> bytes | None:
        """The broker's certificate, DER; None without TLS."""
        secure = None if self._transport is None else self._transport.get_extra_info("ssl_object")
        return None if secure is None else secure.getpeercert(binary_form=True)

    def end(self) -> None:
        """Close after what was written has left."""
        if self.out:
            self.flush()
        if self._transport is not None:
            self._transport.close()

    def abort(self, reason: str) -> None:
        """Drop the connection at once."""
        self._reason = self._reason or reason
        self.out.clear()
        if self._transport is not None:
            self._transport.abort()
        self._tell(self._reason)

    def reset(self, reason: str) -> None:
        """Drop the connection at once, and let the system forget what it has not sent, or has no answer for."""
        raw = None if self._transport is None else self._transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        self.abort(reason)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed."""
        self._tell(self._reason or self._why_lost(exc))

    def _why_lost(self, error: Exception | None) -> str:
        """Why the connection is gone.

        In TLS 1.3 the broker looks at a client's certificate when that has spoken already, and its last word about it may be lost.
        """
        words = "" if error is None else tls_trouble(error)
        if words or self._begun or self.peer_certificate() is None:
            return words or ("the broker closed the connection" if error is None else str(error))
        return "the broker closed the connection without a word: it wants a certificate, or refuses this client's"

    def _flush_scheduled(self) -> None:
        self._scheduled = False
        if self.out:
            self.flush()

    def _tell(self, reason: str) -> None:
        if not self._told:
            self._told = True
            self._owner.gone(self, reason)
