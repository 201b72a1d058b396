"""The graph of a flow: what is a back edge, in which order members come, what a loop holds, what a join may still wait for.

Nodes are numbers from 0; sets of them are masks, bit n for node n. Dominators, back edges and natural loops are those of
Aho, Lam, Sethi and Ullman, "Compilers", 9.6. What a join waits for is the pattern WCP-38, "general synchronizing merge",
of the workflow patterns (van der Aalst et al.).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

__all__ = ["ROOT", "Arc", "Graph", "bits"]

ROOT: Final = -1
"""The node that stands for all inputs of the flow."""


class Arc(NamedTuple):
    """One edge. `declared` tells that its definition says that it is a back edge."""

    tail: int
    head: int
    declared: bool = False


def bits(mask: int) -> Iterator[int]:
    """The nodes of a mask, in ascending order."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


class Graph:
    """What is known of a graph of `size` nodes.

    `reached` is the mask of the nodes that a way from the root leads to; arcs from others count for nothing. `back` has the
    numbers of the back edges. `order` has the reached nodes, each after those that lead to it; `cycle` is a cycle without a
    back edge, and where there is one nothing more is known. `loops` has, for each node that a back edge leads to, the
    mask of its loop: the node, and all between it and the back edge.
    """

    __slots__ = ("_above", "_backs", "_below", "back", "cycle", "loops", "order", "reached")

    def __init__(self, size: int, arcs: Sequence[Arc]) -> None:
        postorder = _postorder(size, arcs)
        self.reached = sum(1 << node for node in postorder)
        known = [(number, arc) for number, arc in enumerate(arcs) if arc.tail == ROOT or self.reached >> arc.tail & 1]
        dominators = _dominators(size, postorder, [arc for _, arc in known])
        self.back = frozenset(
            number for number, arc in known if arc.tail != ROOT and (arc.declared or dominators[arc.tail] >> arc.head & 1)
        )
        forward = [arc for number, arc in known if number not in self.back and arc.tail != ROOT]
        self.order, self.cycle = _sorted(postorder, forward)
        self._backs = [arcs[number] for number in sorted(self.back)]
        self.loops: dict[int, int] = {}
        if not self.cycle:
            self._above = _closure(size, self.order, [(arc.head, arc.tail) for arc in forward])
            self._below = _closure(size, self.order[::-1], [(arc.tail, arc.head) for arc in forward])
            self.loops = {arc.head: self._loop(arc.head) for arc in self._backs}

    def may_give(self, tail: int, head: int) -> int:
        """The nodes from which work may still lead along the edge `tail` -> `head`, in the present round of all loops of `head`.

        A way back to the start of such a loop does not count: there the next round begins, which arms `head` afresh.
        """
        if tail == ROOT:
            return 0
        ways = [arc for arc in self._backs if not self.loops[arc.head] >> head & 1]
        return self._grown(self._above[tail], ways, -1) & ~(1 << head)

    def is_circular(self, arc: Arc) -> bool:
        """Whether a back edge closes a cycle."""
        return bool(self._below[arc.head] >> arc.tail & 1)

    def _loop(self, start: int) -> int:
        within = self._below[start]
        found = 1 << start
        for arc in self._backs:
            if arc.head == start:
                found |= self._above[arc.tail] & within
        return self._grown(found, [arc for arc in self._backs if arc.head != start and within >> arc.tail & 1], within)

    def _grown(self, found: int, ways: Iterable[Arc], within: int) -> int:
        """Add the nodes of `within` that lead into `found` by back edges of `ways`, and forward edges before them."""
        left = list(ways)
        growing = True
        while growing and left:
            growing = False
            for arc in left:
                if found >> arc.head & 1:
                    found |= self._above[arc.tail] & within
                    growing = True
            left = [arc for arc in left if not found >> arc.head & 1 or not found >> arc.tail & 1]
        return found


def _postorder(size: int, arcs: Sequence[Arc]) -> list[int]:
    """The nodes that the root reaches, each after all that a depth-first search finds from it."""
    after: list[list[int]] = [[] for _ in range(size + 1)]
    for arc in arcs:
        after[arc.tail].append(arc.head)  # the root's are the last
    found: list[int] = []
    seen = {ROOT}
    stack = [(ROOT, iter(after[ROOT]))]
    while stack:
        node, rest = stack[-1]
        following = next((head for head in rest if head not in seen), None)
        if following is None:
            stack.pop()
            found.append(node)
        else:
            seen.add(following)
            stack.append((following, iter(after[following])))
    return found[:-1]


def _dominators(size: int, postorder: Sequence[int], arcs: Iterable[Arc]) -> list[int]:
    """For each node the mask of those that every way from the root to it passes, itself included."""
    before: list[list[int]] = [[] for _ in range(size)]
    for arc in arcs:
        before[arc.head].append(arc.tail)
    found = [-1] * size + [0]  # the root's is the last
    changed = True
    while changed:
        changed = False
        for node in reversed(postorder):
            common = -1
            for tail in before[node]:
                common &= found[tail]
            common |= 1 << node
            if common != found[node]:
                found[node] = common
                changed = True
    return found


def _sorted(nodes: Iterable[int], arcs: Iterable[Arc]) -> tuple[list[int], list[int]]:
    """The nodes in topological order, by number where that leaves a choice; and a cycle, if there is one."""
    before: dict[int, list[int]] = {node: [] for node in nodes}
    after: dict[int, list[int]] = {node: [] for node in before}
    for arc in arcs:
        before[arc.head].append(arc.tail)
        after[arc.tail].append(arc.head)
    left = {node: len(tails) for node, tails in before.items()}
    ready = [node for node, count in left.items() if not count]
    heapq.heapify(ready)
    order = []
    while ready:
        node = heapq.heappop(ready)
        order.append(node)
        del left[node]
        for head in after[node]:
            left[head] -= 1
            if not left[head]:
                heapq.heappush(ready, head)
    return order, _cycle(left, before) if left else []


def _cycle(left: Iterable[int], before: dict[int, list[int]]) -> list[int]:
    """A cycle among nodes each of which has another of them before it, from its least node on."""
    among = set(left)
    node = min(among)
    way: dict[int, None] = {}
    while node not in way:
        way[node] = None
        node = next(tail for tail in before[node] if tail in among)
    nodes = list(way)
    nodes = nodes[nodes.index(node) :][::-1]
    least = nodes.index(min(nodes))
    return nodes[least:] + nodes[:least]


def _closure(size: int, order: Iterable[int], pairs: Iterable[tuple[int, int]]) -> list[int]:
    """For each node the mask of itself and of all that pairs of (node, neighbour) lead to; neighbours come first in `order`."""
    neighbours: list[list[int]] = [[] for _ in range(size)]
    for node, neighbour in pairs:
        neighbours[node].append(neighbour)
    found = [0] * size
    for node in order:
        mask = 1 << node
        for neighbour in neighbours[node]:
            mask |= found[neighbour]
        found[node] = mask
    return found
