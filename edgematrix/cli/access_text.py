"""The access list as people read it: who may do what, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from edgematrix.access.grant import Access
from edgematrix.access.principal import Principal
from edgematrix.access.reason import shortened
from edgematrix.access.users import Users, users_of
from edgematrix.cli.console import plain, style

__all__ = ["access_lines"]

_VERBS = {Access.WRITE: "publishes", Access.READ: "reads"}
_FILTER_WIDTH_MAX = 60


def access_lines(principals: Iterable[Principal], users: Users) -> Iterator[str]:
    """A heading for each principal, then a line for each grant."""
    for number, principal in enumerate(principals):
        if number:
            yield ""
        yield style(f"{principal.role} {principal.subject}", bold=True) + _users(principal, users)
        width = min(_FILTER_WIDTH_MAX, max((len(grant.filter) for grant in principal.grants), default=0))
        for grant in principal.grants:
            why = shortened(grant.reasons)
            yield f"  {_VERBS[grant.access]:9}  {plain(grant.filter):{width}}  {style(plain(why), dim=True)}".rstrip()
        if not len(principal.grants):
            yield "  may do nothing"


def _users(principal: Principal, users: Users) -> str:
    names = users_of(principal, users)
    if names == (principal.subject,):
        return ""
    return f", as {', '.join(names)}" if names else ", with no valid credential: it is not let in"
