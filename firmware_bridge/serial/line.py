"""A serial line, or a socket in its place, that is opened again whenever it is gone."""

from __future__ import annotations

import asyncio
import errno
import importlib.util
import random
from collections.abc import Callable, Iterable
from typing import Protocol
from urllib.parse import urlsplit

from edgematrix.errors import UsageError
from firmware_bridge.serial.place import SOCKET, Place
from firmware_bridge.upy.serial_frame import Reader

__all__ = ["Line", "LineOwner", "check_lines"]

_CONNECT_S = 5.0
_WAIT_S, _WAIT_S_MAX = 0.25, 3.0
_STABLE_S = 5.0
"""A line that held so long makes the waiting begin anew."""
_UNSENT_BYTES_MAX = 2_048
"""Beyond it nobody reads on the other side: what would be sent is dropped, and sent again later."""
_WORDS = {
    errno.ENOENT: "there is no {}: is it plugged in?",
    errno.EACCES: "{} may not be opened: add this user to the group that owns it, often dialout",
    errno.EPERM: "{} may not be opened: add this user to the group that owns it, often dialout",
    errno.EBUSY: "another program has {}",
    errno.EAGAIN: "another program has {}",
    errno.EISDIR: "{} is no serial line",
    errno.ENOTTY: "{} is no serial line",
    errno.ECONNREFUSED: "nobody listens at {}",
}


class LineOwner(Protocol):
    """Who is told what happens on a line: one for each device on it."""

    @property
    def address(self) -> int:
        """The device's address."""

    def opened(self) -> None:
        """The line is there."""

    def gone(self, reason: str) -> None:
        """The line is gone, or could not be opened; said after each attempt."""

    def frame(self, kind: int, number: int, payload: bytes) -> None:
        """A whole frame from this address."""

    def noise(self, reason: str, times: int) -> None:
        """Something was damaged, or came from an address that nobody has."""


def check_lines(places: Iterable[Place]) -> None:
    """See whether these lines can be spoken on here.

    Raises:
        UsageError: a package is missing.
    """
    if all(place.port.startswith(SOCKET) for place in places):
        return
    if importlib.util.find_spec("serial_asyncio_fast") is None:
        remedy = "pip install 'edgematrix[serial]'; socket://HOST:PORT needs nothing"
        raise UsageError("the package pyserial-asyncio-fast is missing", where="--line", remedy=remedy)


class Line(asyncio.Protocol):
    """One line with all devices on it.

    Args:
        place: where it is, and how fast.
        told: hears each change in a sentence.
    """

    def __init__(self, place: Place, told: Callable[[str], None]) -> None:
        self.owners: dict[int, LineOwner] = {}
        self.unsent = 0
        """Frames that were dropped because nobody reads on the other side."""
        self._place = place
        self._told = told
        self._reader = Reader()
        self._damaged = dict(self._reader.damaged)
        self._transport: asyncio.Transport | None = None
        self._ended: asyncio.Future[None] | None = None
        self._reason = ""
        self._said = ""
        self._failures = 0
        self._is_open = False

    def add(self, owner: LineOwner) -> None:
        """A device that is on it."""
        self.owners[owner.address] = owner

    def write(self, frame: bytes) -> None:
        """Send a frame; where the line is gone, or full, it is dropped."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() > _UNSENT_BYTES_MAX:
            self.unsent += 1
            self._noise("unsent", 1)
            return
        self._transport.write(frame)

    async def run(self) -> None:
        """Open it, and open it again whenever it is gone, until this is cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                self._ended = loop.create_future()
                self._is_open = False
                began_s = loop.time()
                try:
                    await self._open()
                    await self._ended
                except (OSError, ValueError) as error:
                    self._reason = self._why(error)
                if loop.time() - began_s >= _STABLE_S:
                    self._failures = 0
                self._lost()
                self._failures += 1
                longest_s = min(_WAIT_S_MAX, _WAIT_S * 2.0 ** min(self._failures - 1, 8))
                await asyncio.sleep(longest_s * (1 + random.random()) / 2)  # noqa: S311 - only so that bridges do not come all at once
        finally:
            if self._transport is not None:
                self._transport.abort()

    # What asyncio tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The line is open."""
        self._is_open = True
        self._transport = transport  # type: ignore[assignment]  # both kinds give one for streams
        self._reader = Reader()
        self._damaged = dict(self._reader.damaged)
        self._say(f"{self._place.line} is open")
        for owner in self.owners.values():
            owner.opened()

    def data_received(self, data: bytes) -> None:
        """Bytes came in."""
        for address, kind, number, payload in self._reader.feed(data):
            owner = self.owners.get(address)
            if owner is None:
                self._noise("address", 1)
            else:
                owner.frame(kind, number, payload)
        if self._damaged != self._reader.damaged:
            for reason, times in self._reader.damaged.items():
                self._noise(reason, times - self._damaged[reason])
            self._damaged = dict(self._reader.damaged)

    def connection_lost(self, exc: Exception | None) -> None:
        """The line is gone."""
        self._transport = None
        self._reason = self._why(exc) if exc is not None else f"{self._place.port} was closed on the other side"
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    # Steps

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        if self._place.port.startswith(SOCKET):
            where = urlsplit(self._place.port)
            async with asyncio.timeout(_CONNECT_S):
                await loop.create_connection(lambda: self, where.hostname or "", where.port or 0)
            return
        from serial_asyncio_fast import create_serial_connection  # noqa: PLC0415 - sockets do without it

        await create_serial_connection(loop, lambda: self, self._place.port, baudrate=self._place.baud, exclusive=True)

    def _lost(self) -> None:
        self._say(f"{self._reason}; trying again")
        for owner in self.owners.values():
            owner.gone(self._reason)

    def _noise(self, reason: str, times: int) -> None:
        if times:
            for owner in self.owners.values():
                owner.noise(reason, times)

    def _say(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self._told(text)

    def _why(self, error: Exception) -> str:
        number = getattr(error, "errno", None)
        if number in _WORDS:
            return _WORDS[number].format(self._place.port)
        if isinstance(error, TimeoutError):
            return f"{self._place.port} does not answer within {_CONNECT_S:.0f} s"
        if "Could not configure port" in str(error):  # pyserial keeps the system's number to itself
            return f"{self._place.port} is no serial line"
        return f"{self._place.port} {'is gone' if self._is_open else 'cannot be opened'}: {error}"
