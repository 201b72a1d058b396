"""Which listeners a topic has: a trie of filters, and a cache of the topics seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeAlias, TypeVar

from edgematrix.protocol.filter import TopicFilter

__all__ = ["Router"]

L = TypeVar("L")

_NO_CAPTURES: dict[str, str] = {}
_Entry: TypeAlias = tuple[int, TopicFilter | None, L]
"""A listener: when it was added, and its filter if that captures anything."""


class _Node(Generic[L]):
    __slots__ = ("children", "entries")

    def __init__(self) -> None:
        self.children: dict[str, _Node[L]] = {}
        self.entries: list[_Entry[L]] = []


class Router(Generic[L]):
    """Listeners by filter. `match` costs a dictionary look-up for a topic that was seen before.

    Listeners come back in the order in which they were added, so that a run is deterministic.
    Wildcards at the first level do not match topics that begin with `$` (MQTT 3.1.1, 4.7.2).

    Args:
        cache_max: how many topics are remembered; beyond it the cache starts afresh.
    """

    def __init__(self, cache_max: int = 20_000) -> None:
        self._cache_max = cache_max
        self._root: _Node[L] = _Node()
        self._exact: dict[str, _Entry[L] | list[_Entry[L]]] = {}
        """By topic, the only entry as most have it, or several: 10,000 lists would take 1 MB."""
        self._cache: dict[str, tuple[tuple[L, dict[str, str]], ...]] = {}
        self._added = 0

    def add(self, topic_filter: TopicFilter, listener: L) -> None:
        """Let `listener` have what matches `topic_filter`."""
        self._added += 1
        entry = (self._added, topic_filter if topic_filter.names else None, listener)
        levels = topic_filter.subscription
        if "+" in levels or "#" in levels:
            node = self._root
            for level in levels.split("/"):
                node = node.children.setdefault(level, _Node())
            node.entries.append(entry)
            self._cache.clear()
        else:
            held = self._exact.get(levels)
            if held is None:
                self._exact[levels] = entry
            elif isinstance(held, list):
                held.append(entry)
            else:
                self._exact[levels] = [held, entry]
            self._cache.pop(levels, None)

    def discard(self, listener: L) -> None:
        """Take every filter of `listener` out."""
        self.remove(lambda other: other is listener)

    def remove(self, is_gone: Callable[[L], bool]) -> list[tuple[str, L]]:
        """Take every filter of these listeners out: what was subscribed to, and by whom. It looks at all there are."""
        self._cache.clear()
        removed: list[tuple[str, L]] = []
        for topic, held in list(self._exact.items()):
            kept = [entry for entry in _several(held) if not is_gone(entry[2])]
            if len(kept) < len(_several(held)):
                removed += ((topic, entry[2]) for entry in _several(held) if is_gone(entry[2]))
                if kept:
                    self._exact[topic] = kept[0] if len(kept) == 1 else kept
                else:
                    del self._exact[topic]
        _prune(self._root, [], is_gone, removed)
        return removed

    def has(self, subscription: str) -> bool:
        """Whether somebody listens with a filter that is subscribed to as `subscription`."""
        if subscription in self._exact:
            return True
        node: _Node[L] | None = self._root
        for level in subscription.split("/"):
            node = None if node is None else node.children.get(level)
        return node is not None and bool(node.entries)

    def entries(self) -> Iterator[tuple[str, L]]:
        """All listeners, each with what it is subscribed to. It looks at all there are."""
        for topic, held in self._exact.items():
            yield from ((topic, listener) for _, _, listener in _several(held))
        yield from _walk(self._root, [])

    def match(self, topic: str) -> tuple[tuple[L, dict[str, str]], ...]:
        """The listeners of `topic`, each with what its filter captured."""
        found = self._cache.get(topic)
        if found is None:
            found = self._look_up(topic)
            if len(self._cache) >= self._cache_max:
                self._cache.clear()
            self._cache[topic] = found
        return found

    def _look_up(self, topic: str) -> tuple[tuple[L, dict[str, str]], ...]:
        entries = list(_several(self._exact.get(topic, [])))
        levels = topic.split("/")
        _collect(self._root, levels, 0, entries)
        entries.sort(key=lambda entry: entry[0])
        matched: list[tuple[L, dict[str, str]]] = []
        for _, topic_filter, listener in entries:
            captures = _NO_CAPTURES if topic_filter is None else topic_filter.captures(topic)
            if captures is not None:
                matched.append((listener, captures))
        return tuple(matched)


def _walk(node: _Node[L], levels: list[str]) -> Iterator[tuple[str, L]]:
    yield from (("/".join(levels), listener) for _, _, listener in node.entries)
    for level, child in node.children.items():
        yield from _walk(child, [*levels, level])


def _several(held: _Entry[L] | list[_Entry[L]]) -> list[_Entry[L]]:
    return held if isinstance(held, list) else [held]


def _collect(node: _Node[L], levels: list[str], depth: int, entries: list[_Entry[L]]) -> None:
    hidden = depth == 0 and levels[0].startswith("$")
    rest = None if hidden else node.children.get("#")
    if rest is not None:
        entries.extend(rest.entries)
    if depth == len(levels):
        entries.extend(node.entries)
        return
    exact = node.children.get(levels[depth])
    if exact is not None and levels[depth] not in ("+", "#"):
        _collect(exact, levels, depth + 1, entries)
    any_level = None if hidden else node.children.get("+")
    if any_level is not None:
        _collect(any_level, levels, depth + 1, entries)


def _prune(node: _Node[L], levels: list[str], is_gone: Callable[[L], bool], removed: list[tuple[str, L]]) -> bool:
    """Whether nothing is left of a node, once these listeners are out of it."""
    gone = [entry[2] for entry in node.entries if is_gone(entry[2])]
    if gone:
        removed += (("/".join(levels), listener) for listener in gone)
        node.entries = [entry for entry in node.entries if not is_gone(entry[2])]
    for level, child in list(node.children.items()):
        if _prune(child, [*levels, level], is_gone, removed):
            del node.children[level]
    return not node.entries and not node.children
