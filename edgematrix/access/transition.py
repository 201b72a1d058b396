"""The access list for the time in which one definition of a matrix gives way to another."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import structs

from edgematrix.access.grant import Access, Grants, GrantsDraft
from edgematrix.access.principal import Principal
from edgematrix.errors import ConfigError, Issue

__all__ = ["together"]


def together(principals: Iterable[Principal], others: Iterable[Principal]) -> list[Principal]:
    """Everybody of two lists, each with what either grants.

    Raises:
        ConfigError: a name is that of two principals of different kinds.
    """
    found = {principal.name: principal for principal in principals}
    for other in others:
        known = found.setdefault(other.name, other)
        if known is other:
            continue
        if (known.role, known.subject) != (other.role, other.subject):
            what = f"{other.name!r} is the {known.role} {known.subject} in the one, and the {other.role} {other.subject} in the other"
            raise ConfigError([Issue("error", what, remedy="let the one go before the other comes")])
        found[other.name] = structs.replace(known, grants=_both(known.grants, other.grants))
    return list(found.values())


def _both(one: Grants, other: Grants) -> Grants:
    draft = GrantsDraft()
    for grant in (*one, *other):
        let = draft.read if grant.access is Access.READ else draft.write
        for reason in grant.reasons:
            let(grant.filter, reason)
    return draft.grants()
