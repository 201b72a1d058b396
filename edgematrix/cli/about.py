"""What the heading of a run tells."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

from edgematrix.config.agent_tree import AgentTree
from edgematrix.config.spec import AgentSpec, MatrixSpec

__all__ = ["About", "about", "works"]


@dataclass(slots=True)
class About:
    """A run in words; it may change while it is shown. `companions` are what runs beside the host."""

    matrix: str
    file: str
    root: str
    zone: tzinfo
    """In which times of day are shown: the matrix's own."""
    plays: bool = False
    """Whether time is that of a recording."""
    broker: str = ""
    link: str = "connecting"
    companions: list[str] = field(default_factory=list)
    composites: frozenset[str] = frozenset()
    """Agents that do nothing themselves."""

    @property
    def is_linked(self) -> bool:
        """Whether the host is connected."""
        return self.link.startswith("connected")


def about(spec: MatrixSpec, file: Path, *, plays: bool = False) -> About:
    """What is known before anything runs."""
    idle = [node.path for node in AgentTree.of(spec) if node.spec.agents and not works(node.spec)]
    return About(spec.matrix, str(file), spec.root, ZoneInfo(spec.timezone), plays, composites=frozenset((spec.matrix, *idle)))


def works(agent: AgentSpec) -> bool:
    """Whether an agent, composite or not, does something itself."""
    if agent.triggers or agent.device or agent.python or agent.onnx or agent.voice:
        return True
    return bool(agent.flow or agent.chat or agent.switch or agent.pool or agent.human or agent.llm or agent.sentences)
