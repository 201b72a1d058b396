"""How long a question and its answer take between two clients, and whether the broker keeps small packets back.

One client alone shows nothing: its PUBACK for the echo carries the ACK that a broker with Nagle's algorithm waits for. With two,
the answer follows the PUBACK of the question on the same connection, and waits for the ACK that the kernel delays by 40 ms.
"""

from __future__ import annotations

import asyncio
import secrets
import statistics
import time
from dataclasses import dataclass

from edgematrix.cli.agents_seen import AgentsSeen
from edgematrix.cli.sighting import Sighting
from edgematrix.cli.visit import Visit, visit
from edgematrix.errors import BusError
from edgematrix.protocol.message import Publication
from edgematrix.protocol.topic import Kind
from edgematrix.transport.endpoint import Endpoint

__all__ = ["BrokerSeen", "look_at_broker"]

_ROUNDS = 7
_ANSWER_S_MAX = 3.0
_DELAYED_ACK_S = 0.030
"""Most of the 40 ms by which Linux delays an ACK."""


@dataclass(slots=True)
class BrokerSeen:
    """What a short stay on the bus showed. Times are medians, in seconds; None where no answer came."""

    version: str
    agents: AgentsSeen
    best_effort_s: float | None = None
    assured_s: float | None = None
    trouble: str = ""
    endings: tuple[str, ...] = ()
    """Which certificates end soon."""
    is_secure: bool = False
    """Whether TLS is spoken."""
    has_identity: bool = False
    """Whether whoever looks has said who it is."""

    @property
    def is_held_back(self) -> bool:
        """Whether QoS 1 takes longer than QoS 0 by what a delayed ACK takes."""
        return self.best_effort_s is not None and self.assured_s is not None and self.assured_s - self.best_effort_s > _DELAYED_ACK_S


async def look_at_broker(url: str, root: str) -> BrokerSeen:
    """Connect, measure, and see who is there.

    Raises:
        UsageError: the address is no broker's address.
        BusError: no broker answers there.
        AccessRefusedError: the broker refuses this client.
    """
    agents = AgentsSeen(root)
    place = f"{root}/{Kind.REPLY}/doctor/{secrets.token_hex(6)}"
    question, answer = f"{place}/question", f"{place}/answer"
    answered = asyncio.Event()

    def asked(topic: str, payload: bytes, qos: int, retained: bool) -> None:
        del topic, retained
        other.transport.publish(Publication(answer, payload, qos))

    def received(topic: str, payload: bytes, qos: int, retained: bool) -> None:
        if topic == answer:
            answered.set()
            return
        seen = Sighting.of(topic, payload, qos, retained, root)
        if seen.kind in (Kind.STATE, Kind.HOST):
            agents.take(seen)

    async with (
        visit(url, [question], asked, qos=1) as other,
        visit(url, [answer, f"{root}/{Kind.HOST}/#", f"{root}/{Kind.STATE}/#"], received, qos=1) as guest,
    ):
        endpoint = Endpoint.parse(url)
        found = BrokerSeen(str(guest.transport.version), agents, is_secure=endpoint.tls, has_identity=endpoint.has_identity)
        if endpoint.tls:
            found.endings = _endings(endpoint, guest)
        try:
            found.best_effort_s = await _median(guest, question, answered, qos=0)
            found.assured_s = await _median(guest, question, answered, qos=1)
        except BusError as error:
            found.trouble = (guest.trouble or other.trouble or [error.what])[-1]
        return found


def _endings(endpoint: Endpoint, guest: Visit) -> tuple[str, ...]:
    from edgematrix.runtime.endings import Endings  # noqa: PLC0415 - only who speaks TLS needs it

    endings = Endings(endpoint, lambda: guest.transport.peer_certificate, lambda: time.time_ns() // 1_000)
    endings.look()
    return endings.warnings


async def _median(guest: Visit, question: str, answered: asyncio.Event, *, qos: int) -> float:
    times: list[float] = []
    for _ in range(_ROUNDS):
        answered.clear()
        began_s = time.perf_counter()
        guest.transport.publish(Publication(question, b"1", qos))
        try:
            async with asyncio.timeout(_ANSWER_S_MAX):
                await answered.wait()
        except TimeoutError:
            raise BusError(f"no answer to a message with QoS {qos} within {_ANSWER_S_MAX:g} s") from None
        times.append(time.perf_counter() - began_s)
    return statistics.median(times)
