"""Reads an `acl_file` of mosquitto, as mosquitto does, and compares it with the access list of a matrix."""

from __future__ import annotations

from collections.abc import Iterable

from edgematrix.access.difference import Difference, FoundList, FoundUser, compared
from edgematrix.access.grant import Access
from edgematrix.access.principal import Principal
from edgematrix.access.users import Users
from edgematrix.errors import TopicError
from edgematrix.protocol.overlap import check_subscription, covers

__all__ = ["mosquitto_differences", "read_acl_file"]

_BLANK = " \t\n\v\f\r"
"""What mosquitto strips from lines and names: of C's `isspace`, so no other blank of Unicode."""
_ACCESSES = {"read": (Access.READ,), "write": (Access.WRITE,), "readwrite": tuple(Access)}


def mosquitto_differences(principals: Iterable[Principal], users: Users, text: str) -> list[Difference]:
    """What the file grants too much, and what it lacks."""
    return compared(
        principals,
        users,
        read_acl_file(text),
        lambda principal, access: (grant.filter for grant in principal.grants if grant.access is access),
        lambda wide, narrow: covers(wide.split("/"), narrow.split("/")),
    )


def read_acl_file(text: str) -> FoundList:
    """What a file grants to whom; what it says beside that is odd.

    A line ends with a line feed and nothing else, as mosquitto has it: what another reader takes for two lines may hide one in a comment.
    """
    found = FoundList()
    user: FoundUser | None = None
    denies = False
    for number, written in enumerate(text.split("\n"), 1):
        line = written.rstrip(_BLANK)
        word, _, rest = line.lstrip(" ").partition(" ")
        rest = rest.strip(_BLANK)
        if "\0" in line:
            found.oddities[number] = f"`{line[:120]!r}` holds NUL: mosquitto passes over the line after it"
        if not word or line.startswith("#"):
            continue
        if word == "user" and rest:
            user = found.users.setdefault(rest, FoundUser(number))
        elif word == "topic" and user is None and rest == "deny #":
            denies = True
        elif word == "topic" and rest:
            _topic(found, user, rest, number)
        elif word == "pattern":
            found.oddities[number] = f"`{line[:120]}` grants to everybody"
        else:
            found.oddities[number] = f"`{line[:120]}` is no line of an access list: mosquitto refuses the whole file"
    if not denies and not any(granted for each in found.users.values() for granted in each.granted.values()):
        found.oddities[1] = "it grants nothing to anybody, and mosquitto lets everybody do everything then"
    return found


def _topic(found: FoundList, user: FoundUser | None, rest: str, number: int) -> None:
    word, space, topic = rest.partition(" ")
    if not space:
        word, topic = "readwrite", rest
    topic = topic.strip(_BLANK)
    try:
        check_subscription(topic)
    except TopicError as error:
        found.oddities[number] = f"{error.what}: mosquitto refuses the whole file"
        return
    if user is None:
        found.oddities[number] = f"`topic {rest[:120]}` stands before any user: it is for who has no name"
    elif word == "deny":
        found.oddities[number] = f"`topic {rest[:120]}` denies something, which no list of ours does"
    elif word not in _ACCESSES:
        found.oddities[number] = f"{word!r} is none of read, write, readwrite: mosquitto refuses the whole file"
    else:
        for access in _ACCESSES[word]:
            user.granted[access].setdefault(topic, number)
