"""Parts of the tree in which no run begins, because somebody has paused them."""

from __future__ import annotations

from collections.abc import Callable

from edgematrix.protocol.path import AgentPath, is_below
from edgematrix.runtime.calls import Calls
from edgematrix.runtime.observation import Dropped

__all__ = ["Pauses"]


class Pauses:
    """What is paused. Levels and states are followed there all the while, and runs under way go on, with their steps.

    `parts` are the paths that somebody named; each stands for all below it too. `suspended` are agents that another host has now,
    or that nobody may have: they are about to be taken out, and nothing that they put out is heard any more.

    Args:
        root: the first level of the bus's own topics.
        observe: told what was not begun.
    """

    __slots__ = ("_calls", "_observe", "_root", "parts", "suspended")

    def __init__(self, root: str, calls: Calls, observe: Callable[[Dropped], None]) -> None:
        self._root = root
        self._calls = calls
        self._observe = observe
        self.parts: set[AgentPath] = set()
        self.suspended: frozenset[AgentPath] = frozenset()

    def covers(self, path: str) -> bool:
        """Whether an agent is paused, by itself or by what it is in."""
        return any(_is_part(path, part) for part in self.parts)

    def hold_back(self, agent: AgentPath, runid: str, now_us: int) -> bool:
        """Whether a run of `agent` may not begin. Then it is traced, and whoever called is told.

        A step of a run that is in the paused part itself may begin: that run went on.
        """
        if agent in self.suspended:
            reason = f"{agent} is not this host's any more"
            self._observe(Dropped(now_us, agent, f"{self._root}/run/{agent}", reason))
            self._calls.fail(runid, reason, now_us)
            return True
        call = self._calls.open.get(runid)
        part = next(
            (part for part in self.parts if _is_part(agent, part) and (call is None or not _is_part(call.caller, part))),
            None,
        )
        if part is None:
            return False
        reason = f"{agent} is paused" if part == agent else f"{agent} is paused, with {part}"
        self._observe(Dropped(now_us, agent, f"{self._root}/run/{agent}", reason))
        self._calls.fail(runid, reason, now_us)
        return True


def _is_part(path: str, of: str) -> bool:
    return path == of or is_below(path, of)
