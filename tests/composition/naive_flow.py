"""What a run of a flow does, written down as plainly as can be: sets of names, searches through the graph, no masks, no groups.

A flow here is a list of edges (tail, head), names of members; the tail `IN` is the flow's input. Which edges a step takes is told
with its end. Only back edges in the sense of dominators are known, no declared ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

IN = "IN"
Edge = tuple[str, str]


def reach(starts: Iterable[str], edges: Iterable[Edge]) -> set[str]:
    """All that ways of any length, none included, lead to."""
    edges = list(edges)
    found = set(starts)
    while True:
        more = {head for tail, head in edges if tail in found} - found
        if not more:
            return found
        found |= more


def is_back(edge: Edge, edges: list[Edge]) -> bool:
    """Every way from the input to the tail passes the head: without the head there is none."""
    tail, head = edge
    if tail == IN or tail not in reach([IN], edges):
        return False
    return tail == head or tail not in reach([IN], [(a, b) for a, b in edges if head not in (a, b)])


class NaiveFlow:
    def __init__(self, edges: list[Edge]) -> None:
        there = reach([IN], edges)
        self.edges = [edge for edge in edges if edge[0] in there]
        self.back = {edge for edge in self.edges if is_back(edge, edges)}
        self.forward = [edge for edge in self.edges if edge not in self.back]
        self.loops = {head: self.loop(head) for _, head in self.back}

    def loop(self, start: str) -> set[str]:
        """The natural loop: all that lead to a tail of a back edge without passing its head."""
        found = {start}
        for tail, head in self.back:
            if head == start:
                turned = [(b, a) for a, b in self.edges if start not in (a, b)]
                found |= {tail} if tail == start else reach([tail], turned)
        return found

    def into(self, member: str) -> list[Edge]:
        return [edge for edge in self.forward if edge[1] == member]

    def may_come(self, edge: Edge, busy: Callable[[str], set[str]]) -> bool:
        """Whether what is busy can still lead along an edge, in this round of every loop that its head is in.

        `busy` gives the members at work, or waiting, whose next outputs may be taken along edges to the member asked for.
        """
        head = edge[1]
        ways = [
            (a, b)
            for a, b in self.edges
            if head not in (a, b) and not ((a, b) in self.back and head in self.loops[b])
        ]  # fmt: skip
        return edge[0] in reach(busy(head), ways)


class NaiveRun:
    """One run. `begin` and `done` give what is invoked: the member and the values that it gets, by origin."""

    def __init__(self, flow: NaiveFlow) -> None:
        self.flow = flow
        self.steps: dict[int, str] = {}
        self.barred: dict[int, set[str]] = {}
        self.count = 0
        self.tokens: dict[str, dict[Edge, object]] = {}
        self.last: dict[Edge, object] = {}
        self.over = False
        self.said: list[tuple[str, dict[str, object]]] = []

    def begin(self, taken: list[Edge], value: object) -> list[tuple[str, dict[str, object]]]:
        return self._travel(taken, value, set())

    def done(self, step: int, taken: list[Edge], value: object) -> list[tuple[str, dict[str, object]]]:
        del self.steps[step]
        return self._travel(taken, value, self.barred.pop(step, set()))

    def _travel(self, taken: list[Edge], value: object, barred: set[str]) -> list[tuple[str, dict[str, object]]]:
        self.said = []
        flow = self.flow
        for edge in (edge for edge in flow.forward if edge in taken and edge[1] not in barred):
            self.last[edge] = value
            if len(flow.into(edge[1])) == 1:
                self._start(edge[1], {edge: value})
            else:
                tokens = self.tokens.setdefault(edge[1], {})
                tokens[edge] = value
                if len(tokens) == len(flow.into(edge[1])):
                    self._start(edge[1], self.tokens.pop(edge[1]))
        backs = [edge for edge in flow.edges if edge in flow.back and edge in taken and edge[1] not in barred]
        for edge in sorted(backs, key=lambda edge: len(flow.loops[edge[1]])):
            self.last[edge] = value
            self._begin_round(edge[1])
            self._start(edge[1], {each: self.last[each] for each in flow.edges if each[1] == edge[1] and each in self.last})
        ready = [member for member in self.tokens if not self._missing(member)]
        for member in ready:
            self._start(member, self.tokens.pop(member))
        self.over = not self.steps and not self.tokens
        return self.said

    def _start(self, member: str, values: dict[Edge, object]) -> None:
        self.count += 1
        self.steps[self.count] = member
        self.said.append((member, {edge[0]: value for edge, value in values.items()}))

    def _begin_round(self, start: str) -> None:
        loop = self.flow.loops[start]
        for step, member in self.steps.items():
            if member in loop:
                self.barred[step] = self.barred.get(step, set()) | loop
        for member in loop - {start}:
            self.tokens.pop(member, None)
            for edge in self.flow.edges:
                if edge[1] == member:
                    self.last.pop(edge, None)

    def _missing(self, member: str) -> list[Edge]:
        return [edge for edge in self.flow.into(member) if edge not in self.tokens[member] and self._may_come(edge)]

    def _may_come(self, edge: Edge) -> bool:
        flow = self.flow
        waiting = {other for other in self.tokens if other != edge[1]}
        fresh = {member for step, member in self.steps.items() if step not in self.barred}
        if flow.may_come(edge, lambda head: (fresh | waiting) - {head}):
            return True
        for step, barred in self.barred.items():
            if edge[1] in barred:
                continue
            out = [way for way in flow.edges if way[0] == self.steps[step] and way[1] not in barred]
            if edge in out:
                return True
            heads = {b for a, b in out if b != edge[1] and not ((a, b) in flow.back and edge[1] in flow.loops[b])}
            if flow.may_come(edge, lambda _head, heads=heads: heads):
                return True
        return False
