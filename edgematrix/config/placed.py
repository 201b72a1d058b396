"""An agent that is there by its definition, such as a device or a person who is asked."""

from __future__ import annotations

from typing import Any

from edgematrix.config.end import End
from edgematrix.config.spec import AgentSpec
from edgematrix.protocol.path import AgentPath

__all__ = ["Placed"]


class Placed(End[Any, Any]):
    """An agent without code of its own."""

    def __init__(self, path: AgentPath, spec: AgentSpec) -> None:
        self.path = path
        self._spec = spec

    def definition(self) -> AgentSpec:
        """Its definition."""
        return self._spec

    def __repr__(self) -> str:
        return f"<agent {self.path}>"
