"""The failover units that this host may have, and which of its agents is in which."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, KeysView

from edgematrix.hosting.leased import members_of, unit_of
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.held_unit import HeldUnit

__all__ = ["HeldUnits"]


class HeldUnits:
    """They, by their paths."""

    def __init__(self) -> None:
        self._units: dict[AgentPath, HeldUnit] = {}
        self._owners: dict[str, HeldUnit | None] = {}
        """What was found so far of agents."""

    def __iter__(self) -> Iterator[HeldUnit]:
        return iter(list(self._units.values()))

    @property
    def paths(self) -> KeysView[AgentPath]:
        """Of all of them."""
        return self._units.keys()

    def at(self, path: AgentPath) -> HeldUnit | None:
        """The unit of this path."""
        return self._units.get(path)

    def add(self, held: HeldUnit) -> None:
        """This host may have this one, too."""
        self._units[held.unit.path] = held

    def remove(self, path: AgentPath) -> HeldUnit:
        """It may not have it any more."""
        return self._units.pop(path)

    def of(self, path: str) -> HeldUnit | None:
        """The unit that an agent is in; None where it is in none that moves."""
        try:
            return self._owners[path]
        except KeyError:
            apart = frozenset().union(*(held.unit.apart for held in self._units.values()))
            unit = unit_of(path, self._units, apart)
            found = self._owners[path] = None if unit is None else self._units[unit]
            return found

    def settle(self, agents: Iterable[AgentPath]) -> None:
        """Units have come or gone, or other agents run here: these now."""
        self._owners.clear()
        present = tuple(agents)
        for held in self._units.values():
            held.members = frozenset(members_of(held.unit, present))
            held.is_here = held.unit.path in held.members
