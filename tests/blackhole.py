"""A TCP proxy for tests: it forwards, forwards nothing (a half-open link), or breaks what comes.

`python tests/blackhole.py LISTEN_PORT TARGET_PORT` runs it by itself; it takes the name of a mode on each line of its input.
"""

from __future__ import annotations

import asyncio
import select
import socket
import struct
import sys
from enum import StrEnum
from typing import Self

_READ_BYTES = 65_536
_LINGER_NOT = struct.pack("ii", 1, 0)


class Mode(StrEnum):
    FORWARD = "forward"
    BLACKHOLE = "blackhole"
    """Nothing passes, in no direction, and nobody is told; what waits goes on its way when it is over, as TCP sends again."""
    RESET = "reset"
    """Connections are reset, and so is each new one."""


class Blackhole:
    """Stands between clients and a server on this machine."""

    def __init__(self, target_port: int, *, listen_port: int = 0) -> None:
        self._target_port = target_port
        self._listen_port = listen_port
        self._pairs: set[_Pair] = set()
        self._server: asyncio.Server | None = None
        self.mode = Mode.FORWARD
        self.connections = 0
        """How many were taken so far."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(lambda: _Side(_Pair(self)), "127.0.0.1", self._listen_port)
        self._listen_port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for pair in list(self._pairs):
            pair.reset()
        await asyncio.sleep(0)

    @property
    def port(self) -> int:
        return self._listen_port

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self._listen_port}"

    def set(self, mode: Mode | str) -> None:
        """Go on in another mode; it holds for the connections that are there too."""
        self.mode = Mode(mode)
        for pair in list(self._pairs):
            pair.follow()


class _Pair:
    """The two sides of one connection."""

    def __init__(self, hole: Blackhole) -> None:
        self.hole = hole
        self.near: _Side | None = None
        self.far: _Side | None = None
        self._task: asyncio.Task[None] | None = None
        self.early = bytearray()
        """What came before the other side was there: Python 3.11.2, which Debian 12 has, reads it although it is told not to."""

    def taken(self, near: _Side) -> None:
        self.near = near
        self.hole.connections += 1
        self.hole._pairs.add(self)
        self.follow()

    def follow(self) -> None:
        mode = self.hole.mode
        if mode is Mode.RESET:
            self.reset()
        elif mode is Mode.FORWARD and any(side is not None and side.is_reset() for side in (self.near, self.far)):
            self.reset()  # what was sent into the hole on a connection that was given up meanwhile is lost
        else:
            for side in (self.near, self.far):
                if side is not None:
                    side.read(reads=mode is Mode.FORWARD and self.far is not None)
            if mode is Mode.FORWARD and self.far is None and self._task is None:
                self._task = asyncio.create_task(self._connect())

    async def _connect(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: _Side(self, is_far=True), "127.0.0.1", self.hole._target_port)
        except OSError:
            self.reset()

    def met(self, far: _Side) -> None:
        self.far = far
        if self not in self.hole._pairs:
            far.reset()
        else:
            assert far.transport is not None
            far.transport.write(bytes(self.early))
            self.follow()

    def other(self, side: _Side) -> _Side | None:
        return self.near if side is self.far else self.far

    def reset(self) -> None:
        self.hole._pairs.discard(self)
        for side in (self.near, self.far):
            if side is not None:
                side.reset()

    def ended(self, side: _Side) -> None:
        """One side has ended in good order: so does the other, after what it still has to be sent."""
        self.hole._pairs.discard(self)
        other = self.other(side)
        if other is not None and other.transport is not None:
            other.transport.close()


class _Side(asyncio.Protocol):
    def __init__(self, pair: _Pair, *, is_far: bool = False) -> None:
        self.pair = pair
        self.is_far = is_far
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.pause_reading()
        if self.is_far:
            self.pair.met(self)
        else:
            self.pair.taken(self)

    def data_received(self, data: bytes) -> None:
        other = self.pair.other(self)
        if other is not None and other.transport is not None:
            other.transport.write(data)
        elif self.pair.far is None:
            self.pair.early += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if exc is None:
            self.pair.ended(self)
        else:
            self.pair.reset()

    def read(self, *, reads: bool) -> None:
        if self.transport is not None:
            (self.transport.resume_reading if reads else self.transport.pause_reading)()

    def is_reset(self) -> bool:
        """Whether the other end has reset the connection, which nobody has been told while nothing was read."""
        raw = None if self.transport is None else self.transport.get_extra_info("socket")
        if raw is None:
            return False
        poll = select.poll()
        poll.register(raw.fileno(), 0)
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))

    def reset(self) -> None:
        if self.transport is not None:
            raw = self.transport.get_extra_info("socket")
            if raw is not None:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            self.transport.abort()


async def _main(listen_port: int, target_port: int) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with Blackhole(target_port, listen_port=listen_port) as hole:
        print(hole.port, flush=True)
        while line := await reader.readline():
            hole.set(line.decode().strip())


if __name__ == "__main__":
    asyncio.run(_main(*map(int, sys.argv[1:3])))
