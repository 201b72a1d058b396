"""A short stay on a bus: for the commands that look at it or say one thing."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from msgspec import structs

from edgematrix.cli.console import complain, plain, style
from edgematrix.cli.narrowing import Narrowing
from edgematrix.errors import BusError, EdgeMatrixError
from edgematrix.protocol.message import Publication
from edgematrix.transport.endpoint import Endpoint
from edgematrix.transport.paho import PahoTransport
from edgematrix.transport.settings import Settings

__all__ = ["CONNECT_S_MAX", "Visit", "visit"]

CONNECT_S_MAX = 5.0
_USER_LENGTH_MAX = 64

Received = Callable[[str, bytes, int, bool], None]


@dataclass(slots=True)
class Visit:
    """A connection, and the link that its transport tells.

    `changed` is called with a sentence when the connection breaks or is back. `trouble` has what the broker refused; where nobody
    follows the connection, a refused subscription is told at once. `narrowing` tells which filters take the place of one that is refused.
    """

    where: str
    transport: PahoTransport
    on_received: Received
    changed: Callable[[str], None] | None = None
    first: asyncio.Event = field(default_factory=asyncio.Event)
    """The broker took us in, or the first attempt failed."""
    running: asyncio.Task[None] | None = None
    """Ends early only with an error: the broker wants us no longer."""
    failure: str = ""
    trouble: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    """What was published and not taken, of the trouble."""
    narrowing: Narrowing | None = None
    is_narrowed: bool = False
    """Whether a filter was refused, and others were taken for it."""
    qos: int = 0

    numbers: int = 0
    """How many publications had a number."""
    waits: dict[int, asyncio.Event] = field(default_factory=dict)
    """Who waits for the broker's word, by the publication's number."""

    async def assure(self, publication: Publication, wait_s: float = CONNECT_S_MAX) -> None:
        """Publish with QoS 1, and wait for the broker's word.

        Raises:
            BusError: it refused, or said nothing in time.
        """
        self.numbers += 1
        number, told = self.numbers, len(self.lost)
        word = self.waits[number] = asyncio.Event()
        try:
            self.transport.publish(structs.replace(publication, number=number))
            async with asyncio.timeout(wait_s):
                await word.wait()
        except TimeoutError:
            raise BusError(f"the broker did not confirm the message within {wait_s:g} s", where=self.where) from None
        finally:
            del self.waits[number]
        if len(self.lost) > told:
            raise BusError(self.lost[told], where=publication.topic, remedy="the broker's access list decides who may publish what")

    # What the transport tells

    def received(self, topic: str, payload: bytes, qos: int, retained: bool) -> None:
        """A message came in."""
        if self.is_narrowed and self.narrowing is not None and (more := self.narrowing.more(topic)):
            self.transport.subscribe(dict.fromkeys(more, self.qos))
        self.on_received(topic, payload, qos, retained)

    def connected(self, session_present: bool) -> None:
        """The broker took us in."""
        del session_present
        again = self.first.is_set()
        self.failure = ""
        self.first.set()
        if again and self.changed is not None:
            self.changed("connected again")

    def disconnected(self, reason: str) -> None:
        """The connection is gone, or the first attempt failed."""
        again = self.first.is_set()
        self.failure = reason
        self.first.set()
        if again and self.changed is not None:
            self.changed(f"the connection is gone, trying again: {reason}")

    def refused(self, topic_filter: str, reason: str) -> None:
        """The broker refused a subscription."""
        narrower = None if self.narrowing is None else self.narrowing.instead.get(topic_filter)
        if narrower is not None:
            self.is_narrowed = True
            self.transport.unsubscribe([topic_filter])  # it would cover the others, where brokers are asked for what does not overlap
            self.transport.subscribe(dict.fromkeys(narrower, self.qos))
            return
        told = f"the broker refuses the subscription {topic_filter!r}: {reason}"
        self.trouble.append(told)
        if self.changed is None:
            complain(style(plain(told), fg="yellow"))

    def dropped(self, topic: str, reason: str) -> None:
        """A message was given up."""
        self.lost.append(f"{topic}: {reason}")
        self.trouble.append(f"{topic}: {reason}")

    def confirmed(self, number: int) -> None:
        """The broker has a message, or refused it."""
        if number in self.waits:
            self.waits[number].set()


@asynccontextmanager
async def visit(
    url: str,
    filters: Iterable[str],
    received: Received,
    *,
    qos: int = 0,
    changed: Callable[[str], None] | None = None,
    narrowing: Narrowing | None = None,
) -> AsyncIterator[Visit]:
    """Connect to the broker, stay as long as the block runs, and leave cleanly.

    Args:
        narrowing: what is subscribed to where the broker refuses a filter.

    Raises:
        UsageError: the address is no broker's address.
        BusError: no broker answers there.
        AccessRefusedError: the broker refuses this client.
    """
    endpoint = Endpoint.parse(url)
    # Commands go on beside each other: each has an id of its own, which begins with the one that the address has.
    own_id = f"{endpoint.client_id or _client_id(endpoint)}-{secrets.token_hex(3)}"
    transport = PahoTransport(endpoint, Settings(client_id=own_id, close_timeout_s=1.0))
    guest = Visit(str(endpoint), transport, received, changed, narrowing=narrowing, qos=qos)
    transport.subscribe(dict.fromkeys(filters, qos))
    running = guest.running = asyncio.create_task(transport.run(guest), name="transport")
    try:
        await _arrive(guest, running)
        yield guest
    finally:
        await transport.close()
        with suppress(asyncio.CancelledError, EdgeMatrixError):
            await running


def _client_id(endpoint: Endpoint) -> str:
    """A name of a command: an operator's begins with `op:`, so that it is no host's and no device's."""
    user = re.sub(r"[^A-Za-z0-9_-]", "-", endpoint.username or "")[:_USER_LENGTH_MAX]
    return f"op:{user}-{os.getpid()}" if user else f"em-cli-{os.getpid()}"


async def _arrive(guest: Visit, running: asyncio.Task[None]) -> None:
    first = asyncio.create_task(guest.first.wait())
    try:
        await asyncio.wait({first, running}, timeout=CONNECT_S_MAX, return_when=asyncio.FIRST_COMPLETED)
    finally:
        first.cancel()
    if running.done():
        running.result()
    if not guest.first.is_set() or guest.failure:
        why = guest.failure or f"no answer within {CONNECT_S_MAX:g} s"
        if why.startswith("the broker "):
            raise BusError(why, where=guest.where, remedy="look at its address, and at the certificates that are named there")
        raise BusError(f"no broker answers: {why}", where=guest.where, remedy="start it, or name another one")
