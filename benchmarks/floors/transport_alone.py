"""EdgeMatrix's transport with nothing above it."""

from __future__ import annotations

import asyncio
import sys

from edgematrix.protocol.message import Publication
from edgematrix.transport.endpoint import Endpoint
from edgematrix.transport.paho import PahoTransport
from edgematrix.transport.settings import Settings


class Relay:
    """A link that publishes what it hears."""

    def __init__(self, transport: PahoTransport) -> None:
        self._transport = transport

    def received(self, topic: str, payload: bytes, qos: int, retained: bool) -> None:  # noqa: ARG002 - a link's signature
        """Answer."""
        self._transport.publish(Publication("bench/actuator/" + topic.rpartition("/")[2], payload))

    def connected(self, session_present: bool) -> None:
        """Nothing is to be done."""

    def disconnected(self, reason: str) -> None:
        """Tell it."""
        print(reason, file=sys.stderr)

    def refused(self, topic_filter: str, reason: str) -> None:
        """Tell it."""
        print(topic_filter, reason, file=sys.stderr)

    def dropped(self, topic: str, reason: str) -> None:
        """Tell it."""
        print(topic, reason, file=sys.stderr)

    def confirmed(self, number: int) -> None:
        """Nothing has a number."""


async def main() -> None:
    transport = PahoTransport(Endpoint.parse(f"mqtt://127.0.0.1:{sys.argv[1]}"), Settings(client_id="transport-alone"))
    transport.subscribe({"bench/sensor/+": 0})
    await transport.run(Relay(transport))


if __name__ == "__main__":
    asyncio.run(main())
