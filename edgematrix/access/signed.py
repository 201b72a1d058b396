"""Which topics carry signed messages, and how often each of these counts (docs/spec/topics.md, "Signed messages")."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from enum import Enum, auto

from edgematrix.protocol.topic import WITH_PORT, Kind

__all__ = ["Rule", "SignedTopics"]

_CACHED_MAX = 20_000
_SNAPSHOT = "_snapshot"


class Rule(Enum):
    """What is asked of what comes on a topic."""

    NONE = auto()
    """It is taken unsigned."""
    ONCE = auto()
    """Signed, and each counts once, also after a restart."""
    PASSING = auto()
    """Signed, and each counts once; one that comes again after a crash does no harm."""
    NEWEST = auto()
    """Signed, and not older than the newest: the broker keeps it, and tells it again."""
    STANDING = auto()
    """The same, where one that comes again after a crash does no harm."""


class SignedTopics:
    """The topics of a matrix, or of parts of it, that carry signed messages.

    Args:
        root: the first levels of the bus's own topics.
        signs: whether messages of agents are signed, by path; an agent of which nothing is said is as the one that it is in.
        retained: topics of outputs that the broker keeps.
    """

    def __init__(self, root: str, signs: Mapping[str, bool], retained: Collection[str] = ()) -> None:
        self._head = f"{root}/"
        self._signs = dict(signs)
        self._above = {above for path, is_signed in signs.items() if is_signed for above in _above(path)}
        self._retained = frozenset(retained)
        self._rules: dict[str, Rule] = {}

    def __bool__(self) -> bool:
        return any(self._signs.values())

    def rule(self, topic: str) -> Rule:
        """What is asked of what comes on a topic, and done with what goes out on it."""
        found = self._rules.get(topic)
        if found is None:
            if len(self._rules) >= _CACHED_MAX:
                self._rules.clear()
            found = self._rules[topic] = self._rule(topic)
        return found

    def covers(self, path: str) -> bool:
        """Whether messages of an agent are signed."""
        while path:
            if path in self._signs:
                return self._signs[path]
            path = path.rpartition("/")[0]
        return False

    def concerns(self, path: str) -> bool:
        """Whether messages of an agent, or of any below it, are signed: what is asked of one is asked of all in it."""
        return self.covers(path) or path in self._above

    def _rule(self, topic: str) -> Rule:
        kind, _, rest = topic[len(self._head) :].partition("/") if topic.startswith(self._head) else ("", "", "")
        above, _, last = rest.rpartition("/")
        is_signed, rule = False, Rule.ONCE
        if kind == Kind.CTL:
            is_signed = self.concerns(above)
        elif kind == Kind.OP:
            is_signed = self.concerns("/".join(rest.split("/")[2:]))
        elif kind in WITH_PORT:
            is_signed = self.covers(above)
            rule = Rule.PASSING if kind == Kind.PART else Rule.NEWEST if topic in self._retained else Rule.ONCE
        elif kind == Kind.ACK:
            is_signed, rule = self.covers(rest), Rule.PASSING
        elif kind == Kind.LEASE or (kind == Kind.STATE and last == _SNAPSHOT):
            is_signed, rule = self.covers(rest), Rule.STANDING
        return rule if is_signed else Rule.NONE


def _above(path: str) -> Iterator[str]:
    """The agents that one is in."""
    while path := path.rpartition("/")[0]:
        yield path
