"""The one place that reaches into paho: a client whose socket is a buffer of ours.

Pinned to paho-mqtt 2.2.0 by a contract test; two of its private methods are replaced here.
"""

from __future__ import annotations

from collections.abc import Callable

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

__all__ = ["SUPPORTED_PAHO", "BufferedSocket", "PahoClient"]

SUPPORTED_PAHO = "2.2.0"

_PACKET_ID_MAX = 0x7FFF


class BufferedSocket:
    """What paho takes for a socket: it reads what was filled in, and what it sends is handed on.

    Args:
        write: takes what paho sends.
    """

    def __init__(self, write: Callable[[bytes | bytearray], None]) -> None:
        self._incoming = bytearray()
        self._write = write

    def fill(self, frame: bytes) -> None:
        """Let paho read these bytes."""
        self._incoming += frame

    def recv(self, buffer_size: int) -> bytes:
        """What is there, up to `buffer_size` bytes."""
        if not self._incoming:
            raise BlockingIOError
        taken = bytes(self._incoming[:buffer_size])
        del self._incoming[:buffer_size]
        return taken

    def send(self, buffer: bytes | bytearray) -> int:
        """Hand on; never blocks, what paho sends is small."""
        self._write(buffer)
        return len(buffer)

    def close(self) -> None:
        """The carrier closes the connection; here is nothing to close."""

    def fileno(self) -> int:
        """There is no file."""
        return -1

    def setblocking(self, flag: bool) -> None:
        """It never blocks."""


class PahoClient(mqtt.Client):
    """A paho client that knows no network. One for each connection, so that no state of paho's outlives it."""

    def __init__(self, *, client_id: str, protocol: MQTTProtocolVersion, clean_session: bool, buffered: BufferedSocket) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=None if protocol == MQTTProtocolVersion.MQTTv5 else clean_session,
            protocol=protocol,
            reconnect_on_failure=False,
        )
        self._buffered = buffered

    def _create_socket(self) -> BufferedSocket:
        return self._buffered

    def _mid_generate(self) -> int:
        # The upper half of the packet identifiers belongs to PUBLISH, which does not go through paho.
        self._last_mid = self._last_mid % _PACKET_ID_MAX + 1
        return self._last_mid
