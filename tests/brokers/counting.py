"""Messages that are counted through brokers that die: what was acknowledged has to come."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1] / "transport"))
from listening import Client, Ears

from edgematrix.protocol.message import Publication
from edgematrix.transport.endpoint import Endpoint
from edgematrix.transport.paho import PahoTransport
from edgematrix.transport.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PATIENCE_S = 120.0
_AHEAD = 300
"""Published and not yet acknowledged, at most: so many are on their way whenever a broker dies."""


def transport_to(url: str, name: str) -> PahoTransport:
    return PahoTransport(Endpoint.parse(url), Settings(client_id=name, session_expiry_s=600))


def connected_to(client: Client) -> str:
    """The address that it has."""
    transport = client.transport
    assert isinstance(transport, PahoTransport)
    return str(transport._endpoint.at(transport._address))


@asynccontextmanager
async def subscriber(url: str, name: str) -> AsyncIterator[Client]:
    """Hears `count/#` with QoS 1, in a session that outlives its connection."""
    client = Client(transport_to(url, name), Ears())
    client.transport.subscribe({"count/#": 1})
    await client.online()
    client.transport.publish(Publication("count/first", b"first", 1))
    await client.ears.until(lambda ears: b"first" in ears.payloads, PATIENCE_S)
    yield client
    await client.close()


async def publish(client: Client, count: int, at: dict[int, Callable[[], Awaitable[None]]]) -> None:
    """Publish so many, each acknowledged at the end; at these numbers something happens meanwhile."""
    transport = client.transport
    before = transport.counts()["confirmed"]
    happening = []
    async with asyncio.timeout(PATIENCE_S):
        for number in range(count):
            while number - (transport.counts()["confirmed"] - before) > _AHEAD:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.002)
            transport.publish(Publication("count/1", b"%d" % number, 1))
            if number in at:
                happening.append(asyncio.ensure_future(at[number]()))
        await asyncio.gather(*happening)
        while transport.counts()["confirmed"] - before < count:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)


async def all_came(client: Client, count: int) -> None:
    """Every number was heard; some may have come twice."""
    expected = {b"%d" % number for number in range(count)}
    heard: set[bytes] = set()
    taken = 0

    def there(ears: Ears) -> bool:
        nonlocal taken
        heard.update(ears.messages[position][1] for position in range(taken, len(ears.messages)))
        taken = len(ears.messages)
        return expected <= heard

    try:
        await client.ears.until(there, PATIENCE_S)
    except TimeoutError:
        raise AssertionError(f"{len(expected - heard)} of {count} acknowledged messages are lost") from None
