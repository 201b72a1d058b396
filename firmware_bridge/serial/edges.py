"""How far durable edges to one device have come (docs/spec/topics.md, "Delivery"): what is taken, and of that what is done."""

from __future__ import annotations

from collections.abc import Iterator

from edgematrix.delivery.ack import Ack
from firmware_bridge.upy.cursor import Cursors

__all__ = ["Edges"]

_EDGES_MAX = 64


class Edges:
    """Nothing of it outlives the bridge: who sends hears 0 then, and sends again what was not acknowledged. The device knows its ids."""

    def __init__(self) -> None:
        self._taken = Cursors(_EDGES_MAX)
        self._done: dict[tuple[str, int], int] = {}

    def take(self, edge: str, epoch: int, sequence: int, base: int) -> bool:
        """Whether this is the next of its edge; it counts as taken then."""
        return self._taken.take(edge, epoch, sequence, base)

    def done(self, edge: str, epoch: int, sequence: int) -> Ack:
        """It is done, or refused for good; what is to be acknowledged."""
        self._done.pop((edge, epoch), None)
        self._done[edge, epoch] = sequence
        if len(self._done) > 2 * _EDGES_MAX:
            del self._done[next(iter(self._done))]
        return self.ack(edge, epoch)

    def ack(self, edge: str, epoch: int) -> Ack:
        """How far an edge is done."""
        return Ack(edge, epoch, self._done.get((edge, epoch), 0))

    def all(self) -> Iterator[Ack]:
        """How far each is: said once at each connection."""
        return (Ack(edge, epoch, sequence) for (edge, epoch), sequence in self._done.items())
