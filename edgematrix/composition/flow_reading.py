"""Reads the edges of a flow: which members and ports they join, and what is wrong with them (docs/spec/matrix.md, "Flows")."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from itertools import pairwise
from typing import Final, NamedTuple, TypeAlias

from edgematrix.composition.finding import Finding, Place, compiled
from edgematrix.composition.flow_graph import ROOT, Arc, Graph
from edgematrix.composition.judgement import Judgement
from edgematrix.composition.spec import EdgeSpec, FlowSpec
from edgematrix.expression.names import nearest

__all__ = ["DEFAULT_OUTPUT", "JOINED_MAX", "Edge", "End", "FieldsOf", "InputOf", "Reading", "arc_of"]

DEFAULT_OUTPUT: Final = "out"
JOINED_MAX: Final = 63
"""Edges that one join may have: a trigger group has 64 sources, and one of them resets it."""
EDGES_MAX: Final = 10_000
_NAMES_SHOWN: Final = 20

FieldsOf: TypeAlias = Callable[[str, str], Collection[str] | None]
"""The fields of what a member puts out on a port, None where they are not known. An empty member means the flow's own input."""

InputOf: TypeAlias = Callable[[str], str]
"""The input port that the name of a member alone means; empty where that is left to whoever calls the member."""


class End(NamedTuple):
    """One end of an edge. `member` is -1 for a port of the flow itself; an empty `port` is the member's default input."""

    member: int
    name: str
    port: str

    def __str__(self) -> str:
        return f"{self.name}.{self.port}" if self.name and self.port else self.name or self.port


class Edge(NamedTuple):
    """One edge, from one end to one other. `place` is where its definition stands."""

    tail: End
    head: End
    when: str | None
    loop: bool
    place: Place

    def __str__(self) -> str:
        return f"{_short(self.tail)} -> {_short(self.head)}"


class Reading:
    """The edges of a flow, read and checked as far as the definition alone tells.

    `results` are the outputs that an output's `from` feeds, each with the end that it means; `ending` is the member whose `out`
    is the flow's, where no output is fed. `graph` is of the members, numbered as in `names`; None where ends are wrong.
    """

    def __init__(
        self,
        spec: FlowSpec,
        members: Collection[str],
        inputs: Collection[str],
        outputs: Mapping[str, str | None],
        fields_of: FieldsOf,
        input_of: InputOf,
    ) -> None:
        self.names = list(members)
        self.findings: list[Finding] = []
        self.edges: list[Edge] = []
        self.results: dict[str, End] = {}
        self.ending: int | None = None
        self.graph: Graph | None = None
        self._numbers = {name: number for number, name in enumerate(self.names)}
        self._input_of = input_of
        self._inputs, self._outputs = frozenset(inputs or ("in",)), outputs
        self._read_results()
        for number, definition in enumerate(spec.edges):
            self._read_edge(definition, ("flow", "edges", number))
            if len(self.edges) > EDGES_MAX:
                self._wrong(("flow", "edges", number), f"the flow has more than {EDGES_MAX} edges", "make flows within it")
                return
        self._check_twice()
        for edge in self.edges:
            if edge.when is not None:
                fields = fields_of(edge.tail.name, edge.tail.port)
                self.findings += compiled(partial(Judgement.condition, edge.when, fields), (*edge.place, "when"))
        if not any(finding.severity == "error" for finding in self.findings):
            self._check_graph(Graph(len(self.names), [arc_of(edge) for edge in self.edges if edge.head.member >= 0]), spec)

    def joined(self) -> dict[int, list[int]]:
        """For each member that is reached, the numbers of the edges that lead to it forwards."""
        found: dict[int, list[int]] = {}
        for number, edge in self.arcs():
            if self.graph is not None and number not in self.graph.back:
                found.setdefault(edge.head.member, []).append(number)
        return found

    def arcs(self) -> Iterator[tuple[int, Edge]]:
        """The edges between members, and to them from inputs, by the numbers that they have in the graph."""
        return enumerate(edge for edge in self.edges if edge.head.member >= 0)

    def _wrong(self, place: Place, what: str, remedy: str = "") -> None:
        self.findings.append(Finding(place, what, remedy))

    def _read_results(self) -> None:
        for port, reference in self._outputs.items():
            if reference is None:
                continue
            place = ("outputs", port, "from")
            name, _, inner = reference.partition(".")
            if self._is_path(name, place):
                continue
            if name in self._numbers:
                self.results[port] = End(self._numbers[name], name, inner or DEFAULT_OUTPUT)
            else:
                self._wrong(place, f"`{name}` is none of the agents below", _like(name, self._numbers))

    def _read_edge(self, spec: EdgeSpec, place: Place) -> None:
        if len(spec.stations) > 2:  # noqa: PLR2004 - between the two ends
            for name in (name for station in spec.stations[1:-1] for name in station):
                if "." in name and name.partition(".")[0] in self._numbers:
                    self._wrong(place, f"`{name}` stands within a chain: its port is an input or an output, not both", "write two edges")
        for tails, heads in pairwise(spec.stations):
            if len(tails) * len(heads) + len(self.edges) > EDGES_MAX:
                self._wrong(place, f"the flow has more than {EDGES_MAX} edges", "make flows within it")
                return
            from_ends = [end for name in tails if (end := self._tail(name, place)) is not None]
            to_ends = [end for name in heads if (end := self._head(name, place)) is not None]
            self.edges += (Edge(tail, head, spec.when, spec.loop, place) for tail in from_ends for head in to_ends)

    def _tail(self, name: str, place: Place) -> End | None:
        """Where an edge comes from."""
        member = self._member(name, DEFAULT_OUTPUT)
        if member is None and name in self._inputs:
            return End(-1, "", name)
        if member is not None and name not in self._inputs:
            return member
        if member is not None:
            self._wrong(place, f"`{name}` is both an agent below and an input of the flow", "rename one of them")
        elif name in self._outputs:
            self._wrong(place, f"`{name}` is an output of the flow; no edge comes from it")
        else:
            self._stranger(name, place, self._inputs)
        return None

    def _head(self, name: str, place: Place) -> End | None:
        """Where an edge leads to."""
        member = self._member(name, "")
        if member is not None and not member.port:
            member = member._replace(port=self._input_of(member.name))
        is_output = name in self._outputs and name not in self.results
        if member is None and is_output:
            return End(-1, "", name)
        if member is not None and not is_output:
            return member
        if member is not None:
            self._wrong(place, f"`{name}` is both an agent below and an output of the flow", "rename one of them")
        elif name in self.results:
            self._wrong(place, f"`{name}` is an output of the flow that its `from` feeds already")
        elif name in self._inputs:
            self._wrong(place, f"`{name}` is an input of the flow; no edge leads into it")
        else:
            self._stranger(name, place, self._outputs)
        return None

    def _member(self, name: str, port: str) -> End | None:
        agent, dot, inner = name.partition(".")
        number = self._numbers.get(agent)
        return None if number is None or (dot and not inner) else End(number, agent, inner or port)

    def _stranger(self, name: str, place: Place, ports: Collection[str]) -> None:
        agent, _, port = name.partition(".")
        if self._is_path(name, place):
            return
        if agent in self._numbers:
            self._wrong(place, f"`{name}` lacks the name of a port", f"`{agent}` alone means its default port")
        else:
            self._wrong(place, f"`{agent if port else name}` is none of the agents below", _like(agent, [*self._numbers, *ports]))

    def _is_path(self, name: str, place: Place) -> bool:
        child, slash, _ = name.lstrip("/").partition("/")
        if not slash and not name.startswith("/"):
            return False
        way = f"a port of `{child}`, as in `{child}.port`, is the way" if child in self._numbers else _like(child, self._numbers)
        self._wrong(place, f"`{name}` is not right below the flow", way)
        return True

    def _check_twice(self) -> None:
        known: set[tuple[End, End]] = set()
        for edge in self.edges:
            if edge[:2] in known:
                self._wrong(edge.place, f"the edge `{edge}` stands there twice", "join the conditions with ||" if edge.when else "")
            known.add(edge[:2])

    def _check_graph(self, graph: Graph, spec: FlowSpec) -> None:
        self.graph = graph
        if graph.cycle:
            names = [self.names[node] for node in [*graph.cycle, graph.cycle[0]]]
            what = f"the cycle {' -> '.join(names)} has several ways in, so it does not tell which edge leads back"
            self._wrong(("flow",), what, "say `loop: true` at the edge that leads back")
            return
        if not graph.reached and not any(edge.tail.member == ROOT for edge in self.edges):
            self._wrong(("flow",), "no edge comes from an input of the flow", f"its inputs are {', '.join(sorted(self._inputs))}")
            return
        self._check_cycles(graph, spec)
        for node, name in enumerate(self.names):
            if not graph.reached >> node & 1:
                what = f"no way leads from the flow's inputs to `{name}`"
                self.findings.append(Finding(("agents", name), what, f"an edge to `{name}`", "warning"))
        for node, numbers in self.joined().items():
            if len(numbers) > JOINED_MAX:
                what = f"`{self.names[node]}` joins {len(numbers)} edges, at most {JOINED_MAX} can be joined"
                self._wrong(("flow",), what, "join some of them in a flow within it")
        self._check_results(graph)

    def _check_cycles(self, graph: Graph, spec: FlowSpec) -> None:
        circular = False
        for number, edge in self.arcs():
            if number in graph.back:
                closes = graph.is_circular(arc_of(edge))
                circular = circular or closes
                if closes and spec.max_steps is None:
                    what = f"a cycle without a bound: `{edge}` leads back"
                    self._wrong(edge.place, what, "say `max_steps:` beside `edges:`, how many steps a run may take")
                elif not closes:
                    self.findings.append(Finding(edge.place, f"`{edge}` says `loop: true`, but is in no cycle", "", "warning"))

    def _check_results(self, graph: Graph) -> None:
        if self.results or any(edge.head.member < 0 for edge in self.edges):
            return
        if self._outputs and DEFAULT_OUTPUT not in self._outputs:
            self.findings.append(Finding(("flow",), "nothing feeds an output of the flow", "say `from:` at an output", "warning"))
            return
        going_on = {edge.tail.member for number, edge in self.arcs() if number not in graph.back}
        ends = [node for node in graph.order if node not in going_on]
        if len(ends) == 1:
            (self.ending,) = ends
        else:
            named = ", ".join(f"`{self.names[node]}`" for node in ends[:_NAMES_SHOWN])
            example = f"outputs: {{{DEFAULT_OUTPUT}: {{from: {self.names[ends[0]]}}}}}"
            self._wrong(("flow",), f"several agents are ends of the flow: {named}", f"name the outputs: `{example}`")


def arc_of(edge: Edge) -> Arc:
    """An edge to a member, for the graph."""
    return Arc(edge.tail.member, edge.head.member, edge.loop)


def _short(end: End) -> str:
    return end.name if end.name and end.port in ("", DEFAULT_OUTPUT) else str(end)


def _like(name: str, known: Collection[str]) -> str:
    close = nearest(name, known)
    if close:
        return f"did you mean `{close}`?"
    return f"known: {', '.join(sorted(known)[:_NAMES_SHOWN])}" if known else "define it under `agents:`"
