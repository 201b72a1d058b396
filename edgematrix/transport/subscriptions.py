"""What the owner wants to hear, what the broker is asked for, and which copy of a message counts.

Overlapping filters make a broker send copies of one message. Two ways lead to one copy for the owner:

- *identified* (MQTT 5, 3.8.2.1.2): each filter is asked for as it is, with an identifier that comes back with each copy.
  The copy that counts is the one of the matching filter with the highest QoS, the oldest among equals.
- *covered* (MQTT 3.1.1): a disjoint cover is asked for instead (see `cover`), and what nobody wants is thrown away.

Identifiers are made from the filter's text, so that they mean the same to a session that outlived the process.
A retained message answers a subscription. It counts once a connection, and again when a filter is added that matches it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from edgematrix.errors import UsageError
from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.overlap import check_subscription
from edgematrix.protocol.router import Router
from edgematrix.transport.cover import DisjointCover

__all__ = ["Plan", "Subscriptions", "identifier_of"]

_IDENTIFIER_MAX = 268_435_455
_RETAINED_SEEN_MAX = 100_000
_SHARED = "$share/"
_CACHE_MAX = 20_000


def identifier_of(topic_filter: str) -> int:
    """The subscription identifier of a filter: 1 to 268,435,455, the same in every process."""
    return zlib.crc32(topic_filter.encode()) % _IDENTIFIER_MAX + 1


@dataclass(slots=True)
class Plan:
    """What to tell the broker: filters to ask for, each with its QoS, and filters to give up."""

    subscribe: dict[str, int] = field(default_factory=dict)
    unsubscribe: list[str] = field(default_factory=list)


class Subscriptions:
    """The owner's filters and the broker's.

    Args:
        identified: whether the broker gives subscription identifiers back.
        not_ours: filters for which the broker sends no copy of what we publish ourselves.
    """

    def __init__(self, *, identified: bool = True, not_ours: frozenset[str] = frozenset()) -> None:
        self._identified = identified
        self._not_ours = not_ours
        self._wanted: dict[str, int] = {}
        self._asked: dict[str, int] = {}
        self._granted: set[str] = set()
        self._unanswered: set[str] = set()
        """What was asked for, and perhaps never reached the broker."""
        self._again: set[str] = set()
        self._given_up: dict[str, None] = {}
        self._cover = DisjointCover()
        self._router: Router[str] = Router(cache_max=_CACHE_MAX)
        self._names: dict[str, str] = {}
        self._known: set[int] = set()
        self._overlapped = False
        self._counting: dict[str, int] = {}
        self._is_wanted: dict[str, bool] = {}
        self._retained_seen: dict[str, int] = {}
        self._plain = True

    @property
    def plain(self) -> bool:
        """Whether every live message that comes counts, so that nobody needs to look."""
        return self._plain

    def add(self, filters: Mapping[str, int]) -> None:
        """Want these too. Those that are wanted already are asked for again: their retained messages are due.

        Raises:
            TopicError: a filter breaks the grammar; none is asked for.
            UsageError: a QoS is neither 0 nor 1.
        """
        for topic_filter, qos in filters.items():
            check_subscription(topic_filter)
            if qos not in (0, 1):
                raise UsageError(f"QoS {qos} is not 0 or 1", where=topic_filter)
        for topic_filter, qos in filters.items():
            if topic_filter not in self._wanted:
                # The router tells listeners apart by identity, so that each filter keeps one string.
                name = self._names.setdefault(topic_filter, topic_filter)
                self._router.add(TopicFilter(text=name, subscription=name), name)
            self._wanted[topic_filter] = qos
            self._again.add(topic_filter)
            self._known.add(identifier_of(topic_filter))
        self._cover.add(topic_filter for topic_filter in filters if not topic_filter.startswith(_SHARED))
        self._forget()
        self._expect_retained(filters)

    def remove(self, filters: Iterable[str]) -> None:
        """Want these no longer. Unknown ones may be an earlier process's, in a session that outlived it: given up too."""
        gone = list(filters)
        for topic_filter in gone:
            if self._wanted.pop(topic_filter, None) is None:
                self._given_up[topic_filter] = None
            else:
                self._router.discard(self._names.pop(topic_filter))
                self._again.discard(topic_filter)
        self._cover.remove(gone)
        self._forget()

    def connected(self, *, session_present: bool, identified: bool) -> None:
        """A connection stands: all is asked for anew.

        With the old session too: what a broker that was killed brings back may be older than what it had answered (mosquitto's
        is what it saved last), and a filter that is missing there would be missing for ever.
        """
        self._given_up.update(dict.fromkeys((*self._asked, *self._unanswered)))  # of these some may not be wanted any more
        self._asked.clear()
        self._unanswered.clear()
        if not session_present or identified != self._identified:
            self._identified = identified
            self._granted.clear()
            self._retained_seen.clear()
            self._overlapped = False
            self._known = set(map(identifier_of, self._wanted))
            self._forget()

    def plan(self) -> Plan:
        """What to tell the broker now; taken as told."""
        desired = self._desired()
        again = {self._stand_in(topic_filter) for topic_filter in self._again}
        plan = Plan(
            {name: qos for name, qos in desired.items() if name in again or self._asked.get(name) != qos},
            [name for name in (*self._asked, *self._given_up) if name not in desired],
        )
        self._asked = desired
        self._unanswered.update(plan.subscribe)
        self._granted.intersection_update(desired)
        self._again.clear()
        self._given_up.clear()
        return plan

    def grant(self, asked: str) -> None:
        """The broker took a filter."""
        self._unanswered.discard(asked)
        if asked in self._asked and asked not in self._granted:
            self._granted.add(asked)
            self._counting.clear()

    def refuse(self, asked: str) -> list[str]:
        """The broker refused a filter that it was asked for: the wanted filters that are not heard now."""
        self._granted.discard(asked)
        self._unanswered.discard(asked)
        self._counting.clear()
        if asked not in self._asked:
            return []
        return [topic_filter for topic_filter in self._wanted if self._stand_in(topic_filter) == asked]

    def accepts(self, topic: str, identifiers: tuple[int, ...]) -> bool:
        """Whether this copy of a live message is the one that counts. Asked only when not `plain`."""
        if not self._identified:
            return self._wants(topic)
        counting = self._counting.get(topic)
        if counting is None:
            if len(self._counting) >= _CACHE_MAX:
                self._counting.clear()
            counting = self._counting[topic] = self._counting_identifier(topic)
        # Without an identifier, or with an earlier process's only, nothing tells the copy apart: losing is worse than hearing twice.
        return counting in identifiers or self._known.isdisjoint(identifiers)

    def accepts_retained(self, topic: str, payload: bytes) -> bool:
        """Whether a retained message is wanted, and new to this connection."""
        if not self._plain and not self._identified and not self._wants(topic):
            return False
        seen = self._retained_seen
        mark = hash(payload)
        if seen.get(topic) == mark:
            return False
        if len(seen) >= _RETAINED_SEEN_MAX:
            seen.clear()
        seen[topic] = mark
        return True

    def _counting_identifier(self, topic: str) -> int:
        matching = [name for name, _ in self._router.match(topic)]
        granted = [name for name in matching if name in self._granted]
        granted = [name for name in granted if name not in self._not_ours] or granted  # of our own messages these send no copy
        if granted:
            return identifier_of(max(granted, key=self._wanted.__getitem__))
        # Asked for, but not answered yet: the broker takes them in turn, so the first sends copies before the others do.
        return identifier_of(matching[0]) if matching else 0

    def _wants(self, topic: str) -> bool:
        wanted = self._is_wanted.get(topic)
        if wanted is None:
            if len(self._is_wanted) >= _CACHE_MAX:
                self._is_wanted.clear()
            wanted = self._is_wanted[topic] = bool(self._router.match(topic))
        return wanted

    def _stand_in(self, topic_filter: str) -> str:
        return topic_filter if self._identified or topic_filter.startswith(_SHARED) else self._cover.cover_of(topic_filter)

    def _desired(self) -> dict[str, int]:
        if self._identified:
            return dict(self._wanted)
        desired: dict[str, int] = {}
        for topic_filter, qos in self._wanted.items():
            cover = self._stand_in(topic_filter)
            desired[cover] = max(qos, desired.get(cover, 0))
        return desired

    def _expect_retained(self, filters: Iterable[str]) -> None:
        if not self._retained_seen:
            return
        fresh: Router[str] = Router(cache_max=1)
        for topic_filter in filters:
            fresh.add(TopicFilter(text=topic_filter, subscription=topic_filter), topic_filter)
        self._retained_seen = {topic: mark for topic, mark in self._retained_seen.items() if not fresh.match(topic)}

    def _forget(self) -> None:
        # A filter that was given up sends copies until the broker has heard of it: copies are looked at until the next connection.
        self._overlapped = self._overlapped or self._cover.overlapping
        self._plain = not (self._overlapped if self._identified else self._cover.widened)
        self._counting.clear()
        self._is_wanted.clear()
