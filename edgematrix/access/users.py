"""Which user names of a broker are one principal: each live generation of its credentials has one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from edgematrix.access.principal import Principal
from edgematrix.errors import ConfigError, Issue

__all__ = ["Users", "users_of", "with_users"]

Users = Mapping[str, Sequence[str]]
"""The user names of principals, by the principal's name. Who is not in it has one, the name; an empty list lets nobody in."""


def users_of(principal: Principal, users: Users) -> tuple[str, ...]:
    """The user names under which a principal may come in."""
    return tuple(users.get(principal.name, (principal.name,)))


def with_users(principals: Iterable[Principal], users: Users) -> Iterator[tuple[str, Principal]]:
    """Each user name with its principal, in the order of the principals.

    Raises:
        ConfigError: a user name stands for two principals.
    """
    seen: dict[str, str] = {}
    for principal in principals:
        for user in users_of(principal, users):
            other = seen.setdefault(user, principal.name)
            if other != principal.name:
                what = f"the user name {user!r} stands for {other!r} and for {principal.name!r}"
                raise ConfigError([Issue("error", what, remedy="give one of them credentials of another name")])
            yield user, principal
