"""What hosts say of themselves, as somebody at a command line hears it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from edgematrix.errors import CodecError
from edgematrix.hosting.capability import PROTOCOL_VERSION, Birth, read_birth
from edgematrix.protocol.topic import Kind

__all__ = ["HostsSeen", "wait_quiet"]

_LOOK_S_MAX = 3.0
_QUIET_S = 0.3
_HOSTS_MAX = 10_000


class HostsSeen:
    """Collects the births of a bus. `unread` has why one cannot be read."""

    def __init__(self, root: str) -> None:
        self._head = f"{root}/{Kind.HOST}/"
        self.births: dict[str, Birth] = {}
        self.unread: dict[str, str] = {}
        self.filter = f"{self._head}+"

    def take(self, topic: str, payload: bytes) -> bool:
        """Take a message; whether it was a host's."""
        if not topic.startswith(self._head):
            return False
        name = topic.removeprefix(self._head)
        self.unread.pop(name, None)
        if not payload:
            self.births.pop(name, None)
        elif name in self.births or len(self.births) < _HOSTS_MAX:
            try:
                self.births[name] = read_birth(name, payload)
            except CodecError as error:
                self.births.pop(name, None)
                self.unread[name] = error.what
        return True

    def why_not(self, name: str, matrix: str) -> str:
        """Why a host takes no part in what is deployed of a matrix; empty if it does."""
        birth = self.births.get(name)
        if birth is None:
            return self.unread.get(name, "it has not been seen")
        if not birth.is_online:
            return "it is offline"
        if birth.protocol != PROTOCOL_VERSION:
            told = f" (edgematrix {birth.version})" if birth.version else ""
            return f"it speaks the protocol version {birth.protocol}{told}, and this edgematrix {PROTOCOL_VERSION}"
        if not birth.follows:
            return "it runs a matrix file, `edgematrix run`"
        if birth.matrix not in ("", matrix):
            return f"it runs {birth.matrix}"
        return ""


async def wait_quiet(heard: asyncio.Event, holds: Callable[[], bool] = lambda: False) -> None:
    """Wait as long as more of what is retained comes in, and no longer than until `holds`."""
    try:
        async with asyncio.timeout(_LOOK_S_MAX):
            while not holds():
                heard.clear()
                async with asyncio.timeout(_QUIET_S):
                    await heard.wait()
    except TimeoutError:
        return
