"""A link that remembers, and waiting for what it is to hear."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edgematrix.protocol.message import Publication
    from edgematrix.protocol.ports import Transport

_PATIENCE_S = 30.0


class Ears:
    """A `Link` that remembers everything."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes, int, bool]] = []
        self.connections: list[bool] = []
        self.outages: list[str] = []
        self.refusals: list[tuple[str, str]] = []
        self.drops: list[tuple[str, str]] = []
        self.confirmations: list[int] = []
        self.on_message: Callable[[str, bytes], None] | None = None
        self._changed = asyncio.Event()

    def received(self, topic: str, payload: bytes, qos: int, retained: bool) -> None:
        self.messages.append((topic, payload, qos, retained))
        self._changed.set()
        if self.on_message is not None:
            self.on_message(topic, payload)

    def connected(self, session_present: bool) -> None:
        self.connections.append(session_present)
        self._changed.set()

    def disconnected(self, reason: str) -> None:
        self.outages.append(reason)
        self._changed.set()

    def refused(self, topic_filter: str, reason: str) -> None:
        self.refusals.append((topic_filter, reason))
        self._changed.set()

    def dropped(self, topic: str, reason: str) -> None:
        self.drops.append((topic, reason))
        self._changed.set()

    def confirmed(self, number: int) -> None:
        self.confirmations.append(number)
        self._changed.set()

    @property
    def payloads(self) -> list[bytes]:
        return [payload for _, payload, _, _ in self.messages]

    async def until(self, condition: Callable[[Ears], bool], patience_s: float = _PATIENCE_S) -> None:
        """Wait until something is so; the test fails if it takes too long."""
        async with asyncio.timeout(patience_s):
            while not condition(self):
                self._changed.clear()
                await self._changed.wait()


class Client:
    """A transport that runs, and its ears."""

    def __init__(self, transport: Transport, ears: Ears) -> None:
        self.transport = transport
        self.ears = ears
        self.running = asyncio.create_task(transport.run(ears))

    async def online(self, times: int = 1) -> None:
        await self.ears.until(lambda ears: len(ears.connections) >= times)

    async def heard(self, *payloads: bytes) -> None:
        """Wait until these payloads have come, in this order, and nothing else."""
        await self.ears.until(lambda ears: len(ears.payloads) >= len(payloads))
        assert self.ears.payloads == list(payloads), self.ears.payloads

    async def close(self) -> None:
        await self.transport.close()
        async with asyncio.timeout(_PATIENCE_S):
            await self.running


class Place(Protocol):
    """Something to connect to."""

    def transport(self, name: str, **settings: Any) -> Transport: ...

    def outside(self, publication: Publication) -> None: ...


@asynccontextmanager
async def clients(place: Place, *names: str, **settings: Any) -> AsyncIterator[list[Client]]:
    """Clients that are online; closed at the end, however the test ends."""
    made = [Client(place.transport(name, **settings), Ears()) for name in names]
    try:
        for client in made:
            await client.online()
        yield made
    finally:
        for client in made:
            await client.close()


def run(test: Coroutine[Any, Any, None], patience_s: float = 120.0) -> None:
    """Run one test on a loop of its own, bounded in time."""
    asyncio.run(asyncio.wait_for(test, patience_s))
