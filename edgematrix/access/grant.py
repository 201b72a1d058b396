"""What one principal may publish or read: topic filters, each with the reasons in the matrix for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum

import msgspec

from edgematrix.protocol.overlap import covers

__all__ = ["Access", "Grant", "Grants", "GrantsDraft"]


class Access(StrEnum):
    """What is granted on topics."""

    READ = "read"
    WRITE = "write"


class Grant(msgspec.Struct, frozen=True, order=True):
    """A topic filter, what may be done with what it matches, and why: each reason names an agent and what it does."""

    access: Access
    filter: str
    reasons: tuple[str, ...] = ()


class Grants:
    """All that one principal may do. No filter stands in it that another one of the same access covers.

    Args:
        grants: in the order in which they are shown.
    """

    def __init__(self, grants: Iterable[Grant] = ()) -> None:
        self._grants = tuple(grants)
        self._levels = {access: [grant.filter.split("/") for grant in self._grants if grant.access is access] for access in Access}

    def __iter__(self) -> Iterator[Grant]:
        return iter(self._grants)

    def __len__(self) -> int:
        return len(self._grants)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Grants) and self.filters() == other.filters()

    __hash__ = None  # type: ignore[assignment]

    def filters(self) -> frozenset[tuple[Access, str]]:
        """What is granted, without the reasons."""
        return frozenset((grant.access, grant.filter) for grant in self._grants)

    def allows(self, access: Access, topic: str) -> bool:
        """Whether all that `topic`, a topic or a filter, matches may be read or written. A single grant has to cover it."""
        wanted = topic.split("/")
        return any(covers(levels, wanted) for levels in self._levels[access])


class GrantsDraft:
    """Collects grants, which may repeat and cover one another."""

    def __init__(self) -> None:
        self._reasons: dict[tuple[Access, str], dict[str, None]] = {}

    def read(self, topic_filter: str, reason: str) -> None:
        """Let what matches be read."""
        self._reasons.setdefault((Access.READ, topic_filter), {})[reason] = None

    def write(self, topic_filter: str, reason: str) -> None:
        """Let what matches be published."""
        self._reasons.setdefault((Access.WRITE, topic_filter), {})[reason] = None

    def grants(self) -> Grants:
        """All of them, each once, writes first; what is covered by a wider one gives its reasons to nobody."""
        found = []
        for access in (Access.WRITE, Access.READ):
            filters = [name for kind, name in self._reasons if kind is access]
            found += [Grant(access, name, tuple(self._reasons[access, name])) for name in _uncovered(filters)]
        return Grants(found)


def _uncovered(filters: Iterable[str]) -> list[str]:
    """Those that no other one covers, sorted. A filter can only be covered by one whose levels before its first wildcard it begins with."""
    levels = {name: tuple(name.split("/")) for name in filters}
    wide: dict[tuple[str, ...], list[str]] = {}
    for name, parts in levels.items():
        first = next((place for place, part in enumerate(parts) if part in ("+", "#")), None)
        if first is not None:
            wide.setdefault(parts[:first], []).append(name)
    return sorted(name for name in levels if not any(covers(levels[other], levels[name]) for other in _wider(name, levels[name], wide)))


def _wider(name: str, parts: tuple[str, ...], wide: Mapping[tuple[str, ...], list[str]]) -> Iterator[str]:
    for length in range(len(parts) + 1):
        yield from (other for other in wide.get(parts[:length], ()) if other != name)
