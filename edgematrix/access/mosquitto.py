"""The access list as mosquitto's `acl_file` (https://mosquitto.org/man/mosquitto-conf-5.html, "acl_file").

mosquitto splits a line at its first two spaces, so what comes after may hold spaces, but not begin or end with them. It grants
every subscription, and judges each message that it would deliver; a filter that begins with a wildcard matches nothing below `$`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from edgematrix.access.grant import Grant
from edgematrix.access.principal import Principal
from edgematrix.access.reason import shortened
from edgematrix.access.users import Users, with_users
from edgematrix.errors import ConfigError, Issue, TopicError
from edgematrix.protocol.overlap import check_subscription

__all__ = ["acl_file", "refuse_unwritable"]

_NOBODY = "# Who has no name may do nothing.\ntopic deny #\n"
"""An `acl_file` in which nothing is granted would let everybody do everything."""


def acl_file(principals: Iterable[Principal], users: Users | None = None) -> str:
    """The whole file. The same principals give the same bytes.

    Args:
        users: the live user names of each principal.

    Raises:
        ConfigError: a user name or a filter cannot be written so that mosquitto reads the same again, or two principals share a name.
    """
    parts = [_NOBODY]
    for user, principal in with_users(principals, users or {}):
        lines = [f"# {_about(user, principal)}", f"user {refuse_unwritable(user, 'the user name')}", *_lines(principal)]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def refuse_unwritable(text: str, what: str) -> str:
    """Return `text` if it can stand at the end of a line of such a file.

    Raises:
        ConfigError: it is empty, holds control characters, or begins or ends with a space.
    """
    if text and text == text.strip() and all(character >= " " and character != "\x7f" for character in text):
        return text
    why = f"{what} {text[:120]!r} is empty, holds a control character, or begins or ends with a space: no access list can hold it"
    raise ConfigError([Issue("error", why, remedy="choose another name")])


def _lines(principal: Principal) -> Iterator[str]:
    """A comment for each reason, and under it all that is granted for it.

    What has wildcards comes first: mosquitto goes through the list for each message, and most messages are matched by few filters.
    """
    for reason, grants in sorted(_by_reason(principal.grants).items(), key=_is_narrow):
        if reason:
            yield f"# {reason}"
        yield from (f"topic {word} {_filter(topic_filter, principal)}" for topic_filter, word in _words(grants).items())


def _by_reason(grants: Iterable[Grant]) -> Mapping[str, Sequence[Grant]]:
    found: dict[str, list[Grant]] = {}
    for grant in grants:
        found.setdefault(shortened(grant.reasons), []).append(grant)
    return found


def _is_narrow(group: tuple[str, Sequence[Grant]]) -> bool:
    return not any(grant.filter.endswith("#") for grant in group[1])


def _words(grants: Iterable[Grant]) -> Mapping[str, str]:
    """What mosquitto calls what is granted on each filter."""
    found: dict[str, str] = {}
    for grant in grants:
        found[grant.filter] = "readwrite" if grant.filter in found else grant.access.value
    return found


def _filter(text: str, principal: Principal) -> str:
    try:
        check_subscription(text)
    except TopicError as error:
        raise ConfigError([Issue("error", f"{principal.name}: {error.what}")]) from None
    return refuse_unwritable(text, f"{principal.name}: the topic filter")


def _about(user: str, principal: Principal) -> str:
    about = f"{principal.role} {principal.subject}"
    return about if user == principal.name else f"{about}, as {user}"
