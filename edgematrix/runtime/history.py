"""What happened on a host of late: the newest observations of each agent, and the newest runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from heapq import nlargest
from itertools import count
from typing import Any, TypeAlias

from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.account import group_of
from edgematrix.runtime.compactor import Compactor
from edgematrix.runtime.observation import Emitted, Fired, Noted, NotFired, Observation, RunEnded, StepBegan, StepEnded
from edgematrix.runtime.run_index import RunIndex
from edgematrix.runtime.watches import covers

__all__ = ["History"]

_Ring: TypeAlias = deque[Any] | list[Any]
"""Numbers and observations in turn. A pair of both would be one object more, which the garbage collector has to look at."""
_DEQUE_MIN = 64
"""A deque of one takes 760 bytes, which is too much for each of ten thousand agents; a short list is as fast."""
_NEW_MAX = 64
"""Observations that are put in order together: one after the other, each between other work, takes twice as long."""
_OF_RUNS = frozenset((Fired, RunEnded, StepBegan, StepEnded, Noted, Emitted))


class History:
    """Keeps observations that have a path.

    Each agent has an equal share of `observations_max`, so that a chatty one pushes out nothing of a quiet one.
    """

    def __init__(self, observations_max: int, agents_count: int) -> None:
        self._observations_max = observations_max
        self._compact = Compactor()
        self._runs = RunIndex()
        self._new: list[Observation] = []
        self._rings: dict[str, _Ring] = {}
        """What was kept of each agent that something has happened to, numbered."""
        self._next_number = count().__next__
        self.share(agents_count)

    def share(self, agents_count: int) -> None:
        """Divide the room among so many agents."""
        self._each_max = max(self._observations_max // agents_count, 1)
        self._new_ring: Callable[[], _Ring] = deque if self._each_max >= _DEQUE_MIN else list

    def forget(self, paths: Collection[str]) -> None:
        """Forget what these agents did, but for whole runs."""
        self._put_in_order()
        for path in paths:
            self._rings.pop(path, None)

    def keep(self, seen: Observation) -> None:
        """Keep an observation; none of a message received or published, which have no end."""
        new = self._new
        new.append(seen)
        if len(new) >= _NEW_MAX:
            self._put_in_order()

    @property
    def runs(self) -> RunIndex:
        """The newest runs, up to now."""
        self._put_in_order()
        return self._runs

    def newest(self, path: AgentPath, group: str, number_max: int) -> list[Observation]:
        """The newest observations of a part of the tree, oldest first; with `group` of the trigger groups of that name alone."""
        self._put_in_order()
        kept = (
            entry
            for agent, ring in self._rings.items()
            if covers(path, agent)
            for entry in zip(*[iter(ring)] * 2, strict=True)
            if not group or group_of(entry[1]) == group
        )
        return [seen for _, seen in reversed(nlargest(number_max, kept))]

    def _put_in_order(self) -> None:
        rings, compact, next_number, entries_max = self._rings, self._compact, self._next_number, 2 * self._each_max
        take = self._runs.take
        new, self._new = self._new, []
        for seen in new:
            kind = type(seen)
            kept = seen
            if kind is not NotFired:  # which is by far the most, and small
                kept = compact(seen)
                if kind in _OF_RUNS:
                    take(kept)  # type: ignore[arg-type]  # just looked at
                    if kind is Emitted:
                        continue
            path = seen.path  # type: ignore[union-attr]  # all that are kept have one
            ring = rings.get(path)
            if ring is None:
                ring = rings[path] = self._new_ring()
            while len(ring) >= entries_max:
                del ring[0]
                del ring[0]
            ring.append(next_number())
            ring.append(kept)
