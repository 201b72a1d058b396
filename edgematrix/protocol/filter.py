"""Topic filters with captures: `zigbee2mqtt/{room}_climate` (docs/spec/triggers.md, "Sources")."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from edgematrix.errors import TopicError

__all__ = ["TopicFilter"]

_CAPTURE = re.compile(r"\{([^{}]*)\}")
_SPECIAL = re.compile(r"[+#{}]")
_CAPTURE_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


@dataclass(frozen=True, slots=True)
class TopicFilter:
    """A checked filter.

    `text` is as written; `subscription` is what the broker is asked for; `names` are the captures, in order.
    """

    text: str
    subscription: str
    names: tuple[str, ...] = ()
    _pattern: re.Pattern[str] | None = field(default=None, compare=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> TopicFilter:
        """Read a filter.

        Raises:
            TopicError: a wildcard is in a wrong place, a capture has no valid name, is there twice, or shares its level
                with another one or with a wildcard.
        """
        if not text or "\0" in text:
            raise TopicError(f"filter {text[:120]!r} is empty or holds NUL")
        if _SPECIAL.search(text) is None:
            return cls(text, text)
        levels = text.split("/")
        names: list[str] = []
        subscribed: list[str] = []
        for position, level in enumerate(levels):
            found = _CAPTURE.findall(level)
            if found:
                names.append(_capture_of(text, level, found))
                subscribed.append("+")
            else:
                _check_level(text, level, last=position == len(levels) - 1)
                subscribed.append(level)
        repeated = next((name for name in names if names.count(name) > 1), None)
        if repeated is not None:
            raise TopicError(f"filter {text[:120]!r} captures {repeated!r} twice")
        pattern = re.compile("/".join(map(_level_pattern, levels)).replace("/.*", "(?:/.*)?"), re.DOTALL) if names else None
        return cls(text, "/".join(subscribed), tuple(names), pattern)

    def captures(self, topic: str) -> dict[str, str] | None:
        """What the captures hold for a topic that matches `subscription`; None if a level's fixed part differs."""
        if self._pattern is None:
            return {}
        match = self._pattern.fullmatch(topic)
        return None if match is None else match.groupdict()


def _capture_of(text: str, level: str, found: list[str]) -> str:
    if len(found) > 1:
        raise TopicError(f"filter {text[:120]!r} has two captures in the level {level!r}")
    if _CAPTURE_NAME.fullmatch(found[0]) is None:
        raise TopicError(f"filter {text[:120]!r} has a capture without a valid name: {{{found[0]}}}")
    rest = _CAPTURE.sub("", level)
    if any(bad in rest for bad in "+#{}"):
        raise TopicError(f"filter {text[:120]!r} mixes a capture with a wildcard or a brace in the level {level!r}")
    return found[0]


def _check_level(text: str, level: str, *, last: bool) -> None:
    if level == "#":
        if not last:
            raise TopicError(f"filter {text[:120]!r} has # before its end")
    elif level != "+" and any(bad in level for bad in "+#{}"):
        raise TopicError(f"filter {text[:120]!r} has a wildcard or a brace inside the level {level!r}")


def _level_pattern(level: str) -> str:
    if level == "#":
        return ".*"
    if level == "+":
        return "[^/]*"
    head, brace, rest = level.partition("{")
    if not brace:
        return re.escape(level)
    name, _, tail = rest.partition("}")
    return f"{re.escape(head)}(?P<{name}>[^/]+){re.escape(tail)}"
