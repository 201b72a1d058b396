"""Who runs where: a pure function of what agents need, what hosts can do, and where agents were.

The same input gives the same places. An agent stays where it is as long as that host fits, so that a new host alone moves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from edgematrix.hosting.capability import Capability
from edgematrix.protocol.path import AgentPath

__all__ = ["Offer", "Placed", "Unit", "place"]

_BUSY = 1.0
"""With this load a host's processors have no time left: others come first."""
_HOSTS_NAMED_MAX = 10


class Unit(msgspec.Struct, frozen=True):
    """Agents that stay together: `path`, and those below it that are in no unit of their own.

    `agents` is how many they are. `host` is the one that the definition names; `capability` is what their host needs, each name in
    it; its `memory_mb` is kept for them alone. `candidates` are the hosts that may have it by name, in order, where it `moves` to
    another one when its own is gone; none are all that fit.
    """

    path: AgentPath
    agents: int = 1
    host: str = ""
    needs: Capability = Capability()
    moves: bool = False
    candidates: tuple[str, ...] = ()


class Offer(msgspec.Struct, frozen=True):
    """A host that agents may be placed on. Of one that is not online it is not known what it can do."""

    name: str
    capability: Capability = Capability()
    load: float = 0.0
    is_online: bool = True


class Placed(msgspec.Struct, frozen=True):
    """The hosts of each unit in order, and what is to be told: `refusals` of those that no host can have, and `warnings`."""

    places: dict[AgentPath, tuple[str, ...]]
    refusals: list[str]
    warnings: list[str]


def place(units: Sequence[Unit], offers: Iterable[Offer], before: Mapping[AgentPath, Sequence[str]]) -> Placed:
    """Place all units.

    Args:
        units: in written order.
        offers: the hosts that are known.
        before: the hosts of units, as deployed last.
    """
    return _Placing({offer.name: offer for offer in sorted(offers, key=lambda offer: offer.name)}, before).place(units)


class _Placing:
    """Goes through units: first those that name their hosts, then those that stay where they were, then all others."""

    def __init__(self, offers: dict[str, Offer], before: Mapping[AgentPath, Sequence[str]]) -> None:
        self._offers = offers
        self._before = before
        self._agents = dict.fromkeys(offers, 0)
        self._memory_mb = {name: offer.capability.memory_mb for name, offer in offers.items()}
        self._found: dict[AgentPath, str] = {}
        self._refusals: dict[AgentPath, str] = {}
        self._warnings: list[str] = []

    def place(self, units: Sequence[Unit]) -> Placed:
        for unit in units:
            named = (unit.host,) if unit.host else unit.candidates
            if named:
                self._place_named(unit, named)
        for unit in units:
            if unit.path not in self._found and unit.path not in self._refusals and not unit.host and not unit.candidates:
                self._let_stay(unit)
        left = [unit for unit in units if unit.path not in self._found and unit.path not in self._refusals]
        for unit in sorted(left, key=lambda unit: len(self._fit(unit))):  # who has least choice comes first
            self._place_anywhere(unit)
        places = {unit.path: (self._found[unit.path], *self._others(unit)) for unit in units if unit.path in self._found}
        for unit in units:
            if unit.moves and len(places.get(unit.path, ())) == 1:
                self._warnings.append(f"{unit.path} has `failover`, but there is no second host that fits: {self._told(unit)}")
        return Placed(places, [self._refusals[unit.path] for unit in units if unit.path in self._refusals], self._warnings)

    def _place_named(self, unit: Unit, named: tuple[str, ...]) -> None:
        unknown = [name for name in named if name not in self._offers]
        if unknown:
            known = ", ".join(name for name, offer in self._offers.items() if offer.is_online) or "none"
            self._refusals[unit.path] = f"{unit.path}: it is to run on {unknown[0]}, and no such host has been seen; online are {known}"
            return
        fit = [name for name in named if self._lacks(unit, self._offers[name]) == ""]
        if not fit:
            self._refusals[unit.path] = f"{unit.path}: {self._told(unit, named)}"
            return
        online = [name for name in fit if self._offers[name].is_online]
        if not online:
            self._warnings.append(f"{unit.path} is to run on {fit[0]}, which is offline: it takes it when it is back")
        self._take(unit, (online or fit)[0])

    def _let_stay(self, unit: Unit) -> None:
        before = self._before.get(unit.path, ())
        offer = self._offers.get(before[0]) if before else None
        if offer is not None and self._lacks(unit, offer) == "":
            if not offer.is_online:
                self._warnings.append(f"{unit.path} stays on {offer.name}, which is offline: it takes it when it is back")
            self._take(unit, offer.name)

    def _place_anywhere(self, unit: Unit) -> None:
        fit = self._fit(unit)
        if fit:
            self._take(unit, min(fit, key=self._fullness))
        else:
            self._refusals[unit.path] = f"{unit.path}: {self._told(unit)}"

    def _fit(self, unit: Unit) -> list[str]:
        return [name for name, offer in self._offers.items() if offer.is_online and self._lacks(unit, offer) == ""]

    def _take(self, unit: Unit, name: str) -> None:
        self._found[unit.path] = name
        self._agents[name] += unit.agents
        self._memory_mb[name] -= unit.needs.memory_mb

    def _fullness(self, name: str) -> tuple[bool, int, str]:
        return self._offers[name].load >= _BUSY, self._agents[name], name

    def _others(self, unit: Unit) -> list[str]:
        """Where it moves to, in order."""
        if not unit.moves:
            return []
        first = self._found[unit.path]
        if unit.candidates:
            named = (unit.host, *unit.candidates) if unit.host else unit.candidates
            return [
                name for name in dict.fromkeys(named) if name != first and name in self._offers and not self._lacks_for_good(unit, name)
            ]
        fit = [name for name, offer in self._offers.items() if offer.is_online and name != first and not self._lacks_for_good(unit, name)]
        return sorted(fit, key=self._fullness)

    def _lacks_for_good(self, unit: Unit, name: str) -> bool:
        offer = self._offers[name]
        return offer.is_online and _lack(unit, offer.capability) != ""

    def _lacks(self, unit: Unit, offer: Offer) -> str:
        """What a host lacks for a unit; empty where it fits, or, as it is offline, nobody knows."""
        if not offer.is_online:
            return ""
        lack = _lack(unit, offer.capability)
        left_mb = self._memory_mb[offer.name]
        if not lack and unit.needs.memory_mb > left_mb and offer.capability.memory_mb:
            return f"{unit.needs.memory_mb} MB of memory, of {offer.capability.memory_mb} MB {max(left_mb, 0)} are left"
        return lack

    def _told(self, unit: Unit, named: Sequence[str] = ()) -> str:
        """Why no host can have it."""
        offers = [offer for offer in self._offers.values() if offer.is_online and (not named or offer.name in named)]
        if not offers:
            return "no host is online"
        lacks = {offer.name: self._lacks(unit, offer) for offer in offers}
        shown = list(lacks)[:_HOSTS_NAMED_MAX]
        more = f" and {len(lacks) - len(shown)} more" if len(lacks) > len(shown) else ""
        if len(set(lacks.values())) == 1 and not named:
            return f"no host has {next(iter(lacks.values()))}: {', '.join(map(self._described, shown))}{more}"
        each = "; ".join(f"{self._described(name)} lacks {lacks[name]}" if lacks[name] else f"{name} has it already" for name in shown)
        return f"no host fits: {each}{more}" if not named else f"{each}{more}"

    def _described(self, name: str) -> str:
        """A host with its labels, by which people know it."""
        labels = self._offers[name].capability.labels
        return f"{name} ({', '.join(labels)})" if labels else name


def _lack(unit: Unit, offered: Capability) -> str:
    """The first thing that a host does not have at all; empty if it has all."""
    needs = unit.needs
    for name in needs.labels:
        if name not in offered.labels:
            return f"the label {name}"
    for name in needs.devices:
        if name not in offered.devices:
            return f"the device {name}"
    for name in needs.packages:
        if not _has(offered.packages, name):
            return f"the package {name}"
    for name in needs.modules:
        if not _has(offered.modules, name):
            return f"the module {name} among those that it allows"
    if needs.memory_mb and not offered.memory_mb:
        return f"{needs.memory_mb} MB of memory, for it does not know how much it has"
    return ""


def _has(known: Sequence[str], name: str) -> bool:
    """Whether a module or package is there: each stands for all in it."""
    return name in known or any(name.startswith(f"{parent}.") for parent in known)
