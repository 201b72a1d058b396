"""An output port of a composite that hands on what an agent inside puts out."""

from __future__ import annotations

from edgematrix.protocol.event import Trail
from edgematrix.protocol.message import Message
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.engine import Engine, Hits
from edgematrix.runtime.part import Passing

__all__ = ["Relay"]


class Relay(Passing):
    """Listens inside, speaks for the composite."""

    __slots__ = ("_engine", "_port", "agent")

    def __init__(self, engine: Engine, composite: AgentPath, port: str) -> None:
        self._engine = engine
        self.agent = composite
        self._port = port

    def pass_on(self, value: object, sequence: int, trail: Trail, now_us: int) -> None:
        """Hand a piece on."""
        self._engine.streams.spread(self.agent, self._port, value, sequence, trail, now_us)

    def receive(self, message: Message, hits: Hits, now_us: int) -> None:  # noqa: ARG002 - there is one input
        """Hand a message on."""
        self._engine.emit(self.agent, self._port, message.value, message.trail, now_us, retained=message.retained)
