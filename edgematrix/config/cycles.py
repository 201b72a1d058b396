"""Strongly connected parts of a graph (Tarjan, "Depth-first search and linear graph algorithms", 1972), without recursion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

__all__ = ["cyclic_parts"]


def cyclic_parts(edges: Sequence[Sequence[int]]) -> list[list[int]]:
    """Every largest set of nodes that can all reach one another, in ascending order; single nodes only with an edge to themselves."""
    return [sorted(part) for part in _parts(edges) if len(part) > 1 or part[0] in edges[part[0]]]


def _parts(edges: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    index = [-1] * len(edges)
    low = [0] * len(edges)
    waiting: list[int] = []
    is_waiting = [False] * len(edges)
    count = 0
    for start in range(len(edges)):
        if index[start] >= 0:
            continue
        walk = [(start, iter(edges[start]))]
        index[start] = low[start] = count
        count += 1
        waiting.append(start)
        is_waiting[start] = True
        while walk:
            node, rest = walk[-1]
            following = next(rest, None)
            if following is None:
                walk.pop()
                if walk:
                    low[walk[-1][0]] = min(low[walk[-1][0]], low[node])
                if low[node] == index[node]:
                    yield _cut(waiting, is_waiting, node)
            elif index[following] < 0:
                index[following] = low[following] = count
                count += 1
                waiting.append(following)
                is_waiting[following] = True
                walk.append((following, iter(edges[following])))
            elif is_waiting[following]:
                low[node] = min(low[node], index[following])


def _cut(waiting: list[int], is_waiting: list[bool], node: int) -> list[int]:
    """Take everything from `node` on off the stack."""
    part: list[int] = []
    while True:
        member = waiting.pop()
        is_waiting[member] = False
        part.append(member)
        if member == node:
            return part
