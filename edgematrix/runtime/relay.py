"""An output port of a composite that hands on what an agent inside puts out."""

from __future__ import annotations

from edgematrix.protocol.message import Message
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.engine import Engine, Hits

__all__ = ["Relay"]


class Relay:
    """Listens inside, speaks for the composite."""

    __slots__ = ("_composite", "_engine", "_port")

    def __init__(self, engine: Engine, composite: AgentPath, port: str) -> None:
        self._engine = engine
        self._composite = composite
        self._port = port

    def receive(self, message: Message, hits: Hits, now_us: int) -> None:  # noqa: ARG002 - there is one input
        """Hand a message on."""
        self._engine.emit(self._composite, self._port, message.value, message.trail, now_us, retained=message.retained)
