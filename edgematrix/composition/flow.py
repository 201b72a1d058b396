"""A flow: agents joined by edges, a DAG or with cycles (docs/spec/matrix.md, "Flows")."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from edgematrix.composition.course import Note
from edgematrix.composition.finding import Finding
from edgematrix.composition.flow_course import FlowCourse
from edgematrix.composition.flow_graph import ROOT, Graph
from edgematrix.composition.flow_parts import Loop, Plan, Port, Station, Way
from edgematrix.composition.flow_reading import DEFAULT_OUTPUT, Edge, FieldsOf, InputOf, Reading
from edgematrix.composition.join import Join
from edgematrix.composition.judgement import Judgement
from edgematrix.composition.spec import FlowSpec
from edgematrix.errors import ConfigError, Issue

__all__ = ["Flow", "check_flow"]


def _called(_member: str) -> str:
    return ""


class Flow:
    """A compiled flow."""

    __slots__ = ("_streamed", "plan")

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._streamed = _streamed(plan)

    @classmethod
    def compile(
        cls,
        spec: FlowSpec,
        members: Collection[str],
        inputs: Collection[str],
        outputs: Mapping[str, str | None],
        fields_of: FieldsOf,
        *,
        input_of: InputOf = _called,
        path: str = "",
    ) -> Flow:
        """Compile a flow.

        Args:
            spec: what the file says.
            members: the agents right below.
            inputs: the flow's own input ports; none stand for the default one, `in`.
            outputs: its output ports, each with its `from`, None where edges feed it, or nothing.
            fields_of: the fields of what a member (empty: the flow's input) puts out on a port, None where not known.
            input_of: the input that the name of a member alone means, where that is known already.
            path: the agent that it is the definition of.

        Raises:
            ConfigError: something is wrong with it, as `check_flow` tells; `path` of an issue is a place in the agent's definition.
        """
        reading = Reading(spec, members, inputs, outputs, fields_of, input_of)
        wrong = [finding for finding in reading.findings if finding.severity == "error"]
        if wrong or reading.graph is None:
            issues = [Issue("error", found.what, path=".".join(map(str, found.place)), remedy=found.remedy) for found in wrong]
            raise ConfigError(issues)
        return cls(_Compiling(reading, reading.graph, fields_of, path).plan(spec, tuple(outputs) or (DEFAULT_OUTPUT,)))

    def course(self, runid: str) -> FlowCourse:
        """A course for the run of this id."""
        return FlowCourse(self.plan, runid)

    def streamed(self, member: str, port: str) -> str:
        """The output that is fed with what the member gives on this port, whatever that is; empty if there is none."""
        return self._streamed.get((member, port), "")


def _streamed(plan: Plan) -> dict[tuple[str, str], str]:
    """Outputs by member and port. An edge with a condition is judged by the whole value, so pieces do not go along it."""
    found = {(station.name, port): output for station in plan.stations for output, port in station.results}
    ways = ((station.name, way) for station in plan.stations for way in station.ways)
    return found | {(name, way.port): way.output for name, way in ways if way.target < 0 and way.when is None}


def check_flow(
    spec: FlowSpec,
    members: Collection[str],
    inputs: Collection[str],
    outputs: Mapping[str, str | None],
    fields_of: FieldsOf,
    *,
    input_of: InputOf = _called,
) -> list[Finding]:
    """What is wrong, and what looks wrong, with a flow; see `Flow.compile`. One without errors compiles."""
    return Reading(spec, members, inputs, outputs, fields_of, input_of).findings


class _Compiling:
    """Makes the plan of a flow that has no errors."""

    def __init__(self, reading: Reading, graph: Graph, fields_of: FieldsOf, path: str) -> None:
        self.reading, self.graph, self.fields_of, self.path = reading, graph, fields_of, path
        self.inner = dict(reading.arcs())
        self.joined = {head: numbers for head, numbers in reading.joined().items() if len(numbers) > 1}
        self.into: dict[int, list[int]] = {}
        for number, edge in self.inner.items():
            self.into.setdefault(edge.head.member, []).append(number)
        self.keeping = self._keeping()

    def plan(self, spec: FlowSpec, outputs: tuple[str, ...]) -> Plan:
        """The whole of it."""
        ways: dict[int, list[Way]] = {}
        numbers = iter(self.inner)
        for edge in self.reading.edges:
            number = next(numbers) if edge.head.member >= 0 else -1
            if edge.tail.member == ROOT or self.graph.reached >> edge.tail.member & 1:
                ways.setdefault(edge.tail.member, []).append(self._way(number, edge))
        ranks = [0] * len(self.reading.names)
        for rank, node in enumerate(self.graph.order):
            ranks[node] = rank
        return Plan(
            stations=tuple(self._station(node, name, ways.get(node, [])) for node, name in enumerate(self.reading.names)),
            starts=tuple(ways.get(ROOT, ())),
            ranks=tuple(ranks),
            loops={start: self._loop(start, mask) for start, mask in self.graph.loops.items()},
            outputs=outputs,
            max_steps=spec.max_steps,
            deadline_us=spec.deadline,
        )

    def _keeping(self) -> frozenset[int]:
        """The edges whose last value a later round may need: to where one leads back, and into loops from outside."""
        found: set[int] = set()
        for start, mask in self.graph.loops.items():
            found.update(self.into[start])
            for head, numbers in self.joined.items():
                if head != start and mask >> head & 1:
                    found.update(number for number in numbers if not self._within(number, mask))
        return frozenset(found)

    def _within(self, number: int, mask: int) -> bool:
        tail = self.inner[number].tail.member
        return tail != ROOT and bool(mask >> tail & 1)

    def _way(self, number: int, edge: Edge) -> Way:
        head = edge.head.member
        slots = self.joined.get(head, ()) if number >= 0 else ()
        told = f"the edge `{edge}` is not taken"
        return Way(
            number=number,
            port=edge.tail.port,
            target=head,
            output=edge.head.port if head < 0 else "",
            slot=slots.index(number) if number in slots else -1,
            back=number in self.graph.back,
            keeps=number in self.keeping,
            when=None if edge.when is None else Judgement.condition(edge.when, self.fields_of(edge.tail.name, edge.tail.port)),
            name=str(edge),
            nothing=Note(f"{told}: nothing came on `{edge.tail}`"),
            refused=Note(f"{told}: {edge.when!r} is false"),
        )

    def _station(self, node: int, name: str, ways: list[Way]) -> Station:
        ways.sort(key=lambda way: self.graph.loops[way.target].bit_count() if way.back else 0)
        results = [(port, end.port) for port, end in self.reading.results.items() if end.member == node]
        if self.reading.ending == node:
            results.append((DEFAULT_OUTPUT, DEFAULT_OUTPUT))
        ports = self._ports(node)
        return Station(
            name=name,
            ways=tuple(ways),
            wanted=frozenset({way.port for way in ways} | {port for _, port in results}) or frozenset({DEFAULT_OUTPUT}),
            results=tuple(results),
            ports=ports,
            only=ports[0].name if len(ports) == 1 and ports[0].plain else None,
            join=self._join(node, name) if node in self.joined else None,
            edges=tuple(self.into.get(node, ())),
        )

    def _ports(self, node: int) -> tuple[Port, ...]:
        found: dict[str, list[int]] = {}
        for number in self.into.get(node, ()):
            found.setdefault(self.inner[number].head.port, []).append(number)
        ports = []
        for name, numbers in found.items():
            tails = [self.inner[number].tail for number in numbers]
            times = Counter(tail.member for tail in tails if tail.member != ROOT)
            keys = [str(tail) if times[tail.member] > 1 else tail.name or tail.port for tail in tails]
            ports.append(Port(name, tuple(zip(numbers, keys, strict=True)), plain=len(numbers) == 1))
        return tuple(ports)

    def _join(self, node: int, name: str) -> Join:
        numbers = self.joined[node]
        tails = [self.inner[number].tail for number in numbers]
        times = Counter(tail.name or tail.port for tail in tails)
        names = [tail.name or tail.port for tail in tails]
        long = [str(tail) if times[known] > 1 else known for tail, known in zip(tails, names, strict=True)]
        if len(set(long)) < len(long):
            long = [f"{known} -> {self.inner[number].head.port or 'in'}" for number, known in zip(numbers, long, strict=True)]
        return Join(name, self.path, numbers, long, [self.graph.may_give(tail.member, node) for tail in tails])

    def _loop(self, start: int, mask: int) -> Loop:
        inside = [number for number in self.keeping if self._within(number, mask)]
        joins = [head for head in self.joined if head != start and mask >> head & 1]
        outside = {
            head: sum(1 << slot for slot, number in enumerate(self.joined[head]) if not self._within(number, mask)) for head in joins
        }
        inner = tuple(number for number in sorted(inside) if mask >> (head := self.inner[number].head.member) & 1 and head != start)
        return Loop(mask, inner, outside)
