"""Lets operators bring agents back to the first choice of their hosts (docs/spec/topics.md, `op`)."""

from __future__ import annotations

from edgematrix.errors import EdgeMatrixError
from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.message import Message
from edgematrix.protocol.topic import Kind
from edgematrix.runtime.engine import Engine, Hits
from edgematrix.runtime.front_desk import FrontDesk
from edgematrix.runtime.leases import Leases
from edgematrix.runtime.order import Order

__all__ = ["FailbackDesk"]


class FailbackDesk:
    """Carries out `failback`. A listener of the engine.

    Args:
        front: where orders come in and answers go out.
    """

    def __init__(self, engine: Engine, leases: Leases, front: FrontDesk) -> None:
        self._engine = engine
        self._leases = leases
        self._front = front
        self.agent = engine.matrix
        self.filter = f"{engine.root}/{Kind.OP}/+/failback/{engine.matrix}/#"
        """What a host subscribes to."""
        engine.listen(TopicFilter.parse(self.filter), self)

    def receive(self, message: Message, hits: Hits, now_us: int) -> None:  # noqa: ARG002 - there is one input
        """Take what an operator asks for."""
        order = self._front.order_of(message, now_us)
        if order is not None:
            self._front.admit(order, lambda now_us: self._give_back(order, now_us), now_us)

    def _give_back(self, order: Order, now_us: int) -> None:
        try:
            to = self._leases.give_back(order.path, now_us)
        except EdgeMatrixError as error:
            self._front.refused(order, error, now_us)
        else:
            self._front.done(order, [{"done": True, "to": to}], now_us)
