"""Failover units: agents that move together to another host when theirs is gone."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec

from edgematrix.protocol.path import AgentPath, parent_of

__all__ = ["LeasedUnit", "members_of", "unit_of"]


class LeasedUnit(msgspec.Struct, frozen=True):
    """One of them: the agent `path`, and those below it but for the units `apart`, with what is below these.

    `hosts` are those that may have it, the first choice first. `returns` tells whether it comes back by itself when a better choice
    is back. `definition` is a hash of what its agents are: a state goes with it only where that is the same.
    """

    path: AgentPath
    hosts: tuple[str, ...]
    returns: bool = False
    definition: str = ""
    apart: frozenset[AgentPath] = frozenset()


def unit_of(path: str, units: Collection[AgentPath], apart: Collection[AgentPath]) -> AgentPath | None:
    """The unit that an agent goes with; None where it stays where it is."""
    above: AgentPath | None = AgentPath(path)
    while above is not None:
        if above in units:
            return above
        if above in apart:
            return None
        above = parent_of(above)
    return None


def members_of(unit: LeasedUnit, agents: Iterable[AgentPath]) -> list[AgentPath]:
    """Those of some agents that go with a unit."""
    return [path for path in agents if unit_of(path, (unit.path,), unit.apart) is not None]
