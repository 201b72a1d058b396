"""A disjoint cover: filters that overlap nowhere and together match all that is wanted.

A broker sends a message once for each subscription of a session that matches it (MQTT 3.1.1, 3.3.5, allows it; NATS does).
Where the copies cannot be told apart, the way out is to ask for filters of which no two match the same topic: a filter
inside another is dropped, and two that overlap in part give way to the narrowest one over both. The price is traffic that
nobody wants: `+/set` and `lamp/+` become `+/+`; what comes beyond is thrown away after it has been read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from edgematrix.protocol.overlap import join

__all__ = ["DisjointCover"]

Levels = tuple[str, ...]


class _Node:
    __slots__ = ("children", "ends")

    def __init__(self) -> None:
        self.children = _NO_CHILDREN
        self.ends = False


_NO_CHILDREN: dict[str, _Node] = {}
"""Of all that have none: most nodes are the ends of topics."""


class DisjointCover:
    """The cover of a changing set of filters. It depends on the set alone, not on the order in which it came about.

    Adding costs a walk through a trie, so thousands of filters are no matter. Taking one out makes the filters
    that shared a cover with it be covered anew.
    """

    def __init__(self) -> None:
        self._root = _Node()
        self._cover_of: dict[str, str] = {}
        self._members: dict[str, dict[str, None]] = {}
        """What a cover stands for, where that is more than itself."""

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(self._cover_of.values()))

    @property
    def overlapping(self) -> bool:
        """Whether any two of the wanted filters overlap."""
        return bool(self._members)

    @property
    def widened(self) -> bool:
        """Whether some cover matches more than what is wanted."""
        return any(cover not in members for cover, members in self._members.items())

    def cover_of(self, topic_filter: str) -> str:
        """The filter that stands for a wanted one."""
        return self._cover_of[topic_filter]

    def members(self, cover: str) -> Mapping[str, None]:
        """The wanted filters that a cover stands for."""
        return self._members.get(cover) or {self._cover_of[cover]: None}

    def add(self, filters: Iterable[str]) -> None:
        """Want these too."""
        for topic_filter in filters:
            if topic_filter not in self._cover_of:
                self._add(topic_filter)

    def remove(self, filters: Iterable[str]) -> None:
        """Want these no longer; unknown ones are passed over."""
        orphans: dict[str, None] = {}
        for topic_filter in filters:
            cover = self._cover_of.pop(topic_filter, None)
            if cover is not None and topic_filter not in orphans:
                _take(self._root, tuple(cover.split("/")))
                orphans.update(self._members.pop(cover, {}))
            orphans.pop(topic_filter, None)
        for topic_filter in orphans:
            self._add(topic_filter)

    def _add(self, topic_filter: str) -> None:
        levels: Levels = tuple(topic_filter.split("/"))
        members = {topic_filter: None}
        while found := _overlapping(self._root, levels):
            for other in found:
                _take(self._root, other)
                cover = "/".join(other)
                members.update(self._members.pop(cover, {cover: None}))
                levels = join(levels, other)
        _put(self._root, levels)
        cover = topic_filter
        if len(members) > 1:
            cover = "/".join(levels)
            self._members[cover] = members
        for member in members:
            self._cover_of[member] = cover


def _put(node: _Node, levels: Levels) -> None:
    for level in levels:
        child = node.children.get(level)
        if child is None:
            if node.children is _NO_CHILDREN:
                node.children = {}
            child = node.children[level] = _Node()
        node = child
    node.ends = True


def _take(root: _Node, levels: Levels) -> None:
    walked: list[tuple[_Node, str]] = []
    node = root
    for level in levels:
        walked.append((node, level))
        node = node.children[level]
    node.ends = False
    for parent, level in reversed(walked):
        child = parent.children[level]
        if child.ends or child.children:
            break
        del parent.children[level]


def _overlapping(root: _Node, levels: Levels) -> list[Levels]:
    found: list[Levels] = []
    pending: list[tuple[_Node, Levels]] = [(root, ())]
    while pending:
        node, walked = pending.pop()
        depth = len(walked)
        level = levels[depth] if depth < len(levels) else None
        if level == "#":
            found.extend(walked + rest for rest in _below(node, hide=depth == 0))
            continue
        rest = node.children.get("#")
        if rest is not None and not (depth == 0 and level is not None and level.startswith("$")):
            found.append((*walked, "#"))
        if level is None:
            if node.ends:
                found.append(walked)
        else:
            pending.extend((child, (*walked, name)) for name, child in _steps(node, level, first=depth == 0))
    return found


def _steps(node: _Node, level: str, *, first: bool) -> list[tuple[str, _Node]]:
    if level == "+":
        return [(name, child) for name, child in node.children.items() if name != "#" and not (first and name.startswith("$"))]
    names = (level,) if first and level.startswith("$") else (level, "+")
    return [(name, node.children[name]) for name in names if name in node.children]


def _below(node: _Node, *, hide: bool) -> list[Levels]:
    found: list[Levels] = []
    pending: list[tuple[_Node, Levels]] = [(node, ())]
    while pending:
        at, walked = pending.pop()
        if at.ends:
            found.append(walked)
        pending.extend(
            (child, (*walked, name)) for name, child in at.children.items() if not (hide and not walked and name.startswith("$"))
        )
    return found
