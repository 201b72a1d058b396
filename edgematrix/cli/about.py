"""What the heading of a run tells."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from edgematrix.config.agent_tree import AgentTree
from edgematrix.config.spec import AgentSpec, MatrixSpec

__all__ = ["About", "about", "works"]


@dataclass(slots=True)
class About:
    """A run in words; it may change while it is shown. `companions` are what runs beside the host."""

    matrix: str
    file: str
    root: str
    broker: str = ""
    link: str = "connecting"
    companions: list[str] = field(default_factory=list)
    composites: frozenset[str] = frozenset()
    """Agents that do nothing themselves."""

    @property
    def is_linked(self) -> bool:
        """Whether the host is connected."""
        return self.link.startswith("connected")


def about(spec: MatrixSpec, file: Path) -> About:
    """What is known before anything runs."""
    idle = [node.path for node in AgentTree.of(spec) if node.spec.agents and not works(node.spec)]
    return About(spec.matrix, str(file), spec.root, composites=frozenset((spec.matrix, *idle)))


def works(agent: AgentSpec) -> bool:
    """Whether an agent, composite or not, does something itself."""
    return bool(agent.triggers or agent.device or agent.python or agent.sentences)
