"""How topic filters relate: does one cover another, do they overlap, what is the narrowest filter over both.

A filter here is what a broker is asked for (MQTT 3.1.1, 4.7): `+` is one level, `#` is the rest, the parent level included.
Wildcards at the first level do not match topics that begin with `$`.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgematrix.errors import TopicError

__all__ = ["check_subscription", "covers", "join", "overlaps"]

_FILTER_BYTES_MAX = 65_535


def check_subscription(topic_filter: str) -> str:
    """Return `topic_filter` if a broker may be asked for it.

    Raises:
        TopicError: it is empty, too long, not valid UTF-8, or has a wildcard in a wrong place.
    """
    shown = repr(topic_filter[:120])
    if not topic_filter or "\0" in topic_filter:
        raise TopicError(f"filter {shown} is empty or holds NUL")
    try:
        size_bytes = len(topic_filter.encode())
    except UnicodeEncodeError:
        raise TopicError(f"filter {shown} is not valid UTF-8") from None
    if size_bytes > _FILTER_BYTES_MAX:
        raise TopicError(f"the filter has {size_bytes} bytes, at most {_FILTER_BYTES_MAX} are allowed")
    levels = topic_filter.split("/")
    for position, level in enumerate(levels):
        if level == "#":
            if position != len(levels) - 1:
                raise TopicError(f"filter {shown} has # before its end")
        elif level != "+" and ("+" in level or "#" in level):
            raise TopicError(f"filter {shown} has a wildcard inside the level {level!r}")
    return topic_filter


def covers(wide: Sequence[str], narrow: Sequence[str]) -> bool:
    """Whether every topic that the levels `narrow` match is matched by the levels `wide`.

    A topic is the filter that matches itself alone, so this also says whether a filter matches a topic.
    """
    if wide[0] in ("+", "#") and narrow[0].startswith("$"):
        return False
    for position, level in enumerate(wide):
        if level == "#":
            return True
        if position == len(narrow) or narrow[position] == "#":
            return False
        if level not in ("+", narrow[position]):
            return False
    return len(wide) == len(narrow)


def overlaps(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether some topic is matched by both."""
    if _hidden(one[0], other[0]) or _hidden(other[0], one[0]):
        return False
    for position in range(max(len(one), len(other))):
        mine = one[position] if position < len(one) else None
        theirs = other[position] if position < len(other) else None
        if "#" in (mine, theirs):
            return True
        if mine is None or theirs is None:
            return False
        if "+" not in (mine, theirs) and mine != theirs:
            return False
    return True


def join(one: Sequence[str], other: Sequence[str]) -> tuple[str, ...]:
    """The narrowest single filter that covers two overlapping ones."""
    joined: list[str] = []
    for position in range(max(len(one), len(other))):
        mine = one[position] if position < len(one) else "#"
        theirs = other[position] if position < len(other) else "#"
        if "#" in (mine, theirs):
            joined.append("#")
            break
        joined.append(mine if mine == theirs else "+")
    return tuple(joined)


def _hidden(wildcard: str, level: str) -> bool:
    return wildcard in ("+", "#") and level.startswith("$")
