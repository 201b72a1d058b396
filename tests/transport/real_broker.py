"""Connecting to a broker process."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from edgematrix.protocol.message import Publication
from edgematrix.transport.endpoint import Endpoint
from edgematrix.transport.paho import PahoTransport
from edgematrix.transport.settings import Settings

if TYPE_CHECKING:
    from broker_process import BrokerProcess
    from listening import Client

QUIET_S = 0.03
"""Long enough on loopback for what was confirmed to reach others, to see that nothing more comes."""


class BrokerPlace:
    """A broker process as a place to connect to."""

    def __init__(self, broker: BrokerProcess) -> None:
        self.broker = broker

    def transport(self, name: str, *, url: str | None = None, **settings: Any) -> PahoTransport:
        return PahoTransport(Endpoint.parse(url or self.broker.url), Settings(client_id=name, **settings))

    def cut(self, client: Client) -> None:
        assert isinstance(client.transport, PahoTransport)
        assert client.transport._carrier is not None
        client.transport._carrier.abort("the test cut it")

    async def settled(self, client: Client) -> None:
        """Wait until the broker has answered all that the client asked and published."""
        transport = client.transport
        assert isinstance(transport, PahoTransport)
        transport.publish(Publication("$settled", b"", 1))
        async with asyncio.timeout(30):
            while not transport._sender._outbox.idle or transport._session is None or transport._session._asked:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.002)
        await asyncio.sleep(QUIET_S)
