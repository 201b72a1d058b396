"""What was under way of agents that may come to a host after its start, or not: until that is known, the store has it as it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.ledger import agent_of
from edgematrix.runtime.stored_call import receiver_of

__all__ = ["SetAside", "UnderWay"]


class UnderWay:
    """Of some agents: `work` is their part of the ledger, `calls` what was called for from elsewhere; both as they were stored."""

    __slots__ = ("calls", "work")

    def __init__(self) -> None:
        self.work: dict[str, bytes] = {}
        self.calls: dict[str, bytes] = {}


class SetAside:
    """What was under way, by agent."""

    def __init__(self) -> None:
        self._by_agent: dict[AgentPath, UnderWay] = {}

    def __bool__(self) -> bool:
        return bool(self._by_agent)

    def __contains__(self, agent: object) -> bool:
        return agent in self._by_agent

    def sort(
        self, work: Mapping[str, bytes], calls: Mapping[str, bytes], may_come: Callable[[AgentPath], bool]
    ) -> tuple[dict[str, bytes], dict[str, bytes]]:
        """Set aside what is of agents that may come. The rest of the work, and of the calls."""
        rest, rest_of_calls = {}, {}
        for key, data in work.items():
            agent = agent_of(key)
            if agent and may_come(agent):
                self._of(agent).work[key] = data
            else:
                rest[key] = data
        for runid, data in calls.items():
            receiver = receiver_of(data)
            if receiver and may_come(receiver):
                self._of(receiver).calls[runid] = data
            else:
                rest_of_calls[runid] = data
        return rest, rest_of_calls

    def take(self, is_wanted: Callable[[AgentPath], bool]) -> UnderWay | None:
        """Take out what is of some agents; None where there is nothing."""
        agents = [agent for agent in self._by_agent if is_wanted(agent)]
        if not agents:
            return None
        taken = UnderWay()
        for agent in agents:
            found = self._by_agent.pop(agent)
            taken.work.update(found.work)
            taken.calls.update(found.calls)
        return taken

    def _of(self, agent: AgentPath) -> UnderWay:
        return self._by_agent.setdefault(agent, UnderWay())
