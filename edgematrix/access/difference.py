"""What an access list that is in use, and that somebody may have edited, says otherwise than the tree."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec

from edgematrix.access.grant import Access
from edgematrix.access.principal import Principal
from edgematrix.access.users import Users, with_users

__all__ = ["Difference", "FoundList", "FoundUser", "compared"]

Pattern = Sequence[str]
"""The levels of a filter, or the tokens of a subject."""


class FoundUser(msgspec.Struct):
    """What a list grants to one user: each pattern with its line, counted from 1."""

    line: int
    granted: dict[Access, dict[str, int]] = msgspec.field(default_factory=lambda: {access: {} for access in Access})
    everything: bool = False
    """Whether it says nothing of what the user may do, which means all."""


class FoundList(msgspec.Struct):
    """A list as it stands in a file. `oddities` are lines that no list of ours has, each with why it matters."""

    users: dict[str, FoundUser] = {}
    oddities: dict[int, str] = {}


class Difference(msgspec.Struct, frozen=True, order=True):
    """One of them, in words; `line` is 0 where the file lacks something."""

    line: int
    what: str


def compared(
    principals: Iterable[Principal],
    users: Users,
    found: FoundList,
    patterns: Callable[[Principal, Access], Iterable[str]],
    covers: Callable[[str, str], bool],
) -> list[Difference]:
    """All differences: what is granted too much by line, then what is missing. A grant that others cover is none.

    Args:
        patterns: what a principal is granted, in the broker's form.
        covers: whether the first pattern matches all that the second does.
    """
    told = [Difference(line, what) for line, what in found.oddities.items()]
    wanted = dict(with_users(principals, users))
    for name, user in found.users.items():
        if name not in wanted:
            told.append(Difference(user.line, f"nobody is called {name!r}, who may do {_count(user)} here"))
    missing: list[Difference] = []
    for name, principal in wanted.items():
        about = f"{principal.role} {principal.subject}" if name == principal.name else f"{principal.role} {principal.subject} (as {name})"
        own = found.users.get(name)
        if own is None:
            if any(True for _ in principal.grants):
                missing.append(Difference(0, f"{about} is not in it"))
        elif own.everything:
            told.append(Difference(own.line, f"{about} may do everything"))
        else:
            for access in Access:
                should = list(patterns(principal, access))
                told += _too_much(about, access, should, own.granted[access], covers)
                missing += _missing(about, access, should, own.granted[access], covers)
    return [*sorted(told), *missing]


def _too_much(
    about: str, access: Access, should: Sequence[str], granted: Mapping[str, int], covers: Callable[[str, str], bool]
) -> Iterator[Difference]:
    known = set(should)
    for pattern, line in granted.items():
        if pattern not in known and not any(covers(wide, pattern) for wide in should):
            yield Difference(line, f"{about} may {access} {pattern}, which the matrix does not grant")


def _missing(
    about: str, access: Access, should: Sequence[str], granted: Mapping[str, int], covers: Callable[[str, str], bool]
) -> Iterator[Difference]:
    for pattern in should:
        if pattern not in granted and not any(covers(wide, pattern) for wide in granted):
            yield Difference(0, f"{about} may not {access} {pattern}, which the matrix grants")


def _count(user: FoundUser) -> str:
    if user.everything:
        return "everything"
    count = sum(len(granted) for granted in user.granted.values())
    return f"{count} thing{'' if count == 1 else 's'}"
