"""The epochs in which agents that move between hosts speak: what a former host says late is not heard."""

from __future__ import annotations

from collections import OrderedDict

from edgematrix.protocol.path import AgentPath, parent_of

__all__ = ["Epochs"]

_AGENTS_MAX = 10_000


class Epochs:
    """The highest epoch known of each agent, and of each unit by its lease."""

    def __init__(self) -> None:
        self._agents: OrderedDict[str, int] = OrderedDict()
        self._units: dict[AgentPath, int] = {}

    def note(self, unit: AgentPath, epoch: int) -> None:
        """A lease says in which epoch a unit is."""
        self._units[unit] = max(epoch, self._units.get(unit, 0))

    def forget(self, unit: AgentPath) -> None:
        """It is a unit no more."""
        self._units.pop(unit, None)

    def over(self, source: str, epoch: int) -> int | None:
        """The epoch in which an agent speaks now, where that is higher than `epoch`; else None, and `epoch` is noted."""
        agents = self._agents
        known = agents.get(source, 0)
        if epoch > known:
            agents[source] = epoch
            agents.move_to_end(source)
            if len(agents) > _AGENTS_MAX:
                agents.popitem(last=False)
        above: AgentPath | None = AgentPath(source) if self._units else None
        while above is not None:
            known = max(known, self._units.get(above, 0))
            above = parent_of(above)
        return known if known > epoch else None
