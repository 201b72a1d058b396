"""Who listens to what: a trie of filters, and a cache by topic."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Protocol, TypeAlias

from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.message import Message
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.router import Router

__all__ = ["Hits", "Listener", "PieceListener", "Routes"]

Hits: TypeAlias = tuple[tuple[int, dict[str, str]], ...]
"""Which inputs of a listener a topic matches, each with its captures."""

_CACHED_MAX = 50_000


class Listener(Protocol):
    """Whoever wants messages. `agent` is on whose behalf: with it, the listener goes."""

    @property
    def agent(self) -> AgentPath:
        """On whose behalf it listens."""

    def receive(self, message: Message, hits: Hits, now_us: int) -> None:
        """Take one message, once, however many inputs it matches."""


class PieceListener:
    """Inherited by listeners that want pieces of outputs that are being streamed; no other gets any."""

    __slots__ = ()


Route: TypeAlias = tuple[Listener, Hits]


class Routes:
    """The listeners of one host.

    Args:
        part_head: how the topics of pieces begin.
    """

    def __init__(self, part_head: str) -> None:
        self._part_head = part_head
        self._router: Router[tuple[Listener, int]] = Router(cache_max=0)
        self.known: dict[str, tuple[Route, ...]] = {}
        """What `of` has found, by topic."""

    def add(self, topic_filter: TopicFilter, listener: Listener, index: int) -> None:
        """Let `listener` have what matches, as its input `index`."""
        self._router.add(topic_filter, (listener, index))
        self.known.clear()

    def remove(self, is_gone: Callable[[Listener], bool]) -> list[tuple[str, Listener]]:
        """Let these have nothing any more: what each was subscribed to."""
        self.known.clear()
        return [(subscription, listener) for subscription, (listener, _) in self._router.remove(lambda entry: is_gone(entry[0]))]

    def by_agent(self, subscriptions: Container[str]) -> dict[AgentPath, list[str]]:
        """Which of these each agent listens to. It looks at all there are."""
        found: dict[AgentPath, list[str]] = {}
        for subscription, (listener, _) in self._router.entries():
            if subscription in subscriptions and subscription not in found.setdefault(listener.agent, []):
                found[listener.agent].append(subscription)
        return {agent: heard for agent, heard in found.items() if heard}

    def has(self, subscription: str) -> bool:
        """Whether somebody listens with such a filter."""
        return self._router.has(subscription)

    def of(self, topic: str) -> tuple[Route, ...]:
        """Who listens to `topic`."""
        routes = self.known.get(topic)
        if routes is None:
            routes = _by_listener(self._router.match(topic))
            if topic.startswith(self._part_head):  # no trigger sees pieces
                routes = tuple(route for route in routes if isinstance(route[0], PieceListener))
            if len(self.known) >= _CACHED_MAX:
                self.known.clear()
            self.known[topic] = routes
        return routes


def _by_listener(found: Iterable[tuple[tuple[Listener, int], Mapping[str, str]]]) -> tuple[Route, ...]:
    hits: dict[int, tuple[Listener, list[tuple[int, dict[str, str]]]]] = {}
    for (listener, index), captures in found:
        hits.setdefault(id(listener), (listener, []))[1].append((index, dict(captures)))
    return tuple((listener, tuple(inputs)) for listener, inputs in hits.values())
