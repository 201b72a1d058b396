"""Which filters match a topic that is known in part: a level with `${…}` is matched for certain by `+` and `#` alone."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from edgematrix.protocol.filter import TopicFilter

__all__ = ["TopicIndex"]

T = TypeVar("T")


class _Level(msgspec.Struct, Generic[T]):
    children: dict[str, _Level[T]] = {}
    items: list[tuple[TopicFilter, T]] = []


class TopicIndex(Generic[T]):
    """Filters: those without a wildcard by their text, the others by their levels."""

    def __init__(self) -> None:
        self._exact: dict[str, list[T] | T] = {}
        self._root: _Level[T] = _Level()

    def add(self, text: str, item: T) -> None:
        """Add a filter.

        Raises:
            TopicError: it breaks the grammar.
        """
        if not any(sign in text for sign in "+#{"):
            held = self._exact.get(text)
            if held is None:
                self._exact[text] = item
            elif isinstance(held, list):
                held.append(item)
            else:
                self._exact[text] = [held, item]
            return
        topic_filter = TopicFilter.parse(text)
        level = self._root
        for name in topic_filter.subscription.split("/"):
            level = level.children.setdefault(name, _Level())
        level.items.append((topic_filter, item))

    def match(self, topic: str) -> list[T]:
        """Everything whose filter is certain to match `topic`, which may hold `${…}`."""
        held = self._exact.get(topic)
        found = list(held) if isinstance(held, list) else [] if held is None else [held]
        entries: list[tuple[TopicFilter, T]] = []
        if self._root.children:
            _collect(self._root, _levels(topic), 0, entries)
        found.extend(item for topic_filter, item in entries if topic_filter.captures(topic) is not None)
        return found


def _levels(topic: str) -> list[str | None]:
    """The levels of a topic, None where it holds a template. Templates may hold slashes themselves."""
    levels: list[str | None] = []
    rest = topic
    while rest:
        level, _, rest = rest.partition("/")
        if "${" not in level:
            levels.append(level)
            continue
        while level.count("{") > level.count("}") and rest:
            more, _, rest = rest.partition("/")
            level = f"{level}/{more}"
        levels.append(None)
    return levels


def _collect(level: _Level[T], levels: list[str | None], depth: int, entries: list[tuple[TopicFilter, T]]) -> None:
    rest = level.children.get("#")
    if rest is not None:
        entries.extend(rest.items)
    if depth == len(levels):
        entries.extend(level.items)
        return
    name = levels[depth]
    for candidate in ("+",) if name is None else (name, "+"):
        child = level.children.get(candidate)
        if child is not None:
            _collect(child, levels, depth + 1, entries)
