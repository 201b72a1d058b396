"""Lets operators bring agents back to the first choice of their hosts (docs/spec/topics.md, `op`)."""

from __future__ import annotations

from edgematrix.errors import EdgeMatrixError
from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.message import Message
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.runtime.engine import Engine, Hits
from edgematrix.runtime.leases import Leases
from edgematrix.runtime.order import Order, read_operation
from edgematrix.runtime.outbound import Outbound

__all__ = ["FailbackDesk"]


class FailbackDesk:
    """Carries out `failback`. A listener of the engine.

    Args:
        host: its name, from which its answers come.
    """

    def __init__(self, engine: Engine, leases: Leases, *, host: str) -> None:
        self._engine = engine
        self._leases = leases
        self._host = host
        self.agent = engine.matrix
        self.filter = f"{engine.root}/{Kind.OP}/+/failback/{engine.matrix}/#"
        """What a host subscribes to."""
        engine.listen(TopicFilter.parse(self.filter), self)

    def receive(self, message: Message, hits: Hits, now_us: int) -> None:  # noqa: ARG002 - there is one input
        """Take what an operator asks for."""
        engine = self._engine
        try:
            order = read_operation(message, engine.root)
        except EdgeMatrixError as error:
            engine.dead_letter(engine.matrix, message.topic, message.value, str(error), now_us)
            return
        try:
            about: dict[str, object] = {"done": True, "to": self._leases.give_back(order.path, now_us)}
        except EdgeMatrixError as error:
            if not order.session:
                engine.dead_letter(engine.matrix, message.topic, message.value, str(error), now_us)
                return
            about = {"refused": f"{error.where}: {error.what}" if error.where else error.what, "remedy": error.remedy}
        if order.session:
            self._reply(order, about, now_us)

    def _reply(self, order: Order, about: dict[str, object], now_us: int) -> None:
        engine = self._engine
        topic = topic_for(engine.root, Kind.REPLY, self._host, order.session)
        trail = engine.next_trail(order.trail, now_us)
        data = {"verb": order.verb, "path": order.path, **about}
        engine.outbox.append(Outbound(topic, data, engine.matrix, now_us, 1, type="em.reply", trail=trail, cause=order.trail.id))
