"""A matrix as a Mermaid flowchart (mermaid.js.org/syntax/flowchart.html): composites are frames, edges are what is wired."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from edgematrix.agents.onnx_spec import OnnxSource
from edgematrix.agents.spec import DeviceSpec
from edgematrix.agents.voice_spec import VoiceSpec
from edgematrix.cli.about import works
from edgematrix.cli.taken import RUN_STYLES, TAKEN_STYLE, Taken
from edgematrix.composition.spec import FlowSpec
from edgematrix.config.agent_tree import DEFAULT_OUTPUT, AgentNode, AgentTree
from edgematrix.config.check_references import sends_of
from edgematrix.config.spec import AgentSpec, MatrixSpec
from edgematrix.config.yaml_position import Key
from edgematrix.protocol.duration import format_duration
from edgematrix.protocol.path import AgentPath
from edgematrix.triggers.spec import SourceSpec, Window

__all__ = ["flowchart"]

_UNSAFE = re.compile(r"[^A-Za-z0-9 _./:+\-]")
_ID = re.compile(r"[^a-z0-9]")
_LABEL_LENGTH_MAX = 60
_SHAPES = {
    "chat": ("[(", ")]"),
    "switch": ("{", "}"),
    "pool": ("[\\", "/]"),
    "llm": ("([", "])"),
    "sentences": (">", "]"),
    "onnx": ("[/", "/]"),
    "voice": ("((", "))"),
    "python": ("{{", "}}"),
}
"""What stands around the name of an agent of a kind: a store for what all see, a choice, a funnel."""
_STYLES = {
    "device": "fill:#dbeafe,stroke:#2563eb,color:#111827",
    "agent": "fill:#dcfce7,stroke:#16a34a,color:#111827",
    "human": "fill:#fce7f3,stroke:#db2777,color:#111827",
    "topic": "fill:#f3f4f6,stroke:#9ca3af,color:#374151",
    "clock": "fill:#fef9c3,stroke:#ca8a04,color:#111827",
    "port": "fill:#ffffff,stroke:#6b7280,color:#111827",
}


def flowchart(spec: MatrixSpec, taken: Taken | None = None) -> str:
    """The text of the chart; the same matrix gives the same text.

    Args:
        taken: the way that a run took, which is marked: its edges are bold and have the numbers of the steps.
    """
    return _Chart(spec, taken).text()


class _Chart:
    """Collects nodes and edges. A matrix that was checked has no reference that leads nowhere."""

    def __init__(self, spec: MatrixSpec, taken: Taken | None = None) -> None:
        self._spec = spec
        self._taken_by_run = taken
        self._tree = AgentTree.of(spec)
        self._ids: dict[tuple[str, str], str] = {}
        self._taken: set[str] = set()
        self._outside: dict[str, str] = {}
        """The lines of what stands outside the matrix, by id."""
        self._ports: dict[AgentPath, dict[str, str]] = {}
        """The lines of the ports that composites show, by composite and id."""
        self._edges: dict[tuple[str, str, str, str], None] = {}
        """Start, arrow, end and label of each."""
        self._drawn: dict[tuple[Key, ...], AgentNode] = {}
        """The one agent that is drawn for all that are made of one definition, as the replicas of a pool are."""
        for node in self._tree:
            self._drawn.setdefault(node.where, node)

    def text(self) -> str:
        """The whole chart."""
        for node in self._drawn.values():
            self._connect(node)
        lines = ["flowchart LR"]
        lines += [f"  {line}" for line in self._outside.values()]
        lines.append(f"  subgraph {self._id('frame', self._spec.matrix)}[{_label(self._spec.matrix)}]")
        for name in self._spec.agents:
            lines += self._drawing(self._tree.nodes[f"{self._spec.matrix}/{name}"], 2)
        lines.append("  end")
        numbers = self._numbers()
        lines += [f"  {_edge_line(edge, numbers.get(place, ()))}" for place, edge in enumerate(self._edges)]
        lines += [f"  classDef {name} {style}" for name, style in _STYLES.items()]
        if self._taken_by_run is not None:
            lines += self._marks(self._taken_by_run, numbers)
        return "\n".join(lines) + "\n"

    # Nodes

    def _drawing(self, node: AgentNode, depth: int, copies: int = 1) -> Iterator[str]:
        """An agent, as a frame if it is a composite. `copies` is how many there are of it."""
        agent, indent = node.spec, "  " * depth
        name = f"{_definition_name(node)} x{copies}" if copies > 1 else node.name
        if not agent.agents:
            yield f"{indent}{self._node(node, name)}"
            return
        yield f"{indent}subgraph {self._id('frame', node.path)}[{_label(f'{node.kind} {name}'.strip())}]"
        if _has_body(agent):
            yield f"{indent}  {self._node(node, node.name)}"
        for line in self._ports.get(node.path, {}).values():
            yield f"{indent}  {line}"
        members = list(self._tree.members(node).values())
        drawn = [member for member in members if self._drawn[member.where] is member]
        for member in drawn:
            yield from self._drawing(member, depth + 1, len(members) if node.kind == "pool" else 1)
        yield f"{indent}end"

    def _node(self, node: AgentNode, name: str) -> str:
        agent, head, label = node.spec, self._id("agent", node.path), _label(name)
        if agent.device is not None or node.is_elsewhere:
            return f"{head}[[{label}]]:::device"
        if agent.human is not None:
            return f"{head}((({label}))):::human"
        for kind, (left, right) in _SHAPES.items():
            if getattr(agent, kind) is not None:
                return f"{head}{left}{label}{right}:::agent"
        return f"{head}[{label}]:::agent"

    def _topic(self, topic: str) -> str:
        return self._stand_outside("topic", topic, f"[/{_label(topic)}/]:::topic")

    def _clock(self, words: str) -> str:
        return self._stand_outside("clock", words, f"(({_label(words)})):::clock")

    def _stand_outside(self, kind: str, key: str, shape: str) -> str:
        head = self._id(kind, key)
        self._outside.setdefault(head, head + shape)
        return head

    def _end(self, node: AgentNode, port: str) -> str:
        """The node that stands for an agent's port: the agent, or the port itself where it is a composite's."""
        node = self._drawn[node.where]
        agent = node.spec
        is_own = agent.flow is None and (bool(node.kind) or (port not in agent.inputs and port not in agent.outputs))
        if not agent.agents or (_has_body(agent) and is_own):
            return self._id("agent", node.path)
        head = self._id("port", f"{node.path}.{port}")
        self._ports.setdefault(node.path, {})[head] = f"{head}([{_label(port)}]):::port"
        return head

    def _id(self, kind: str, key: str) -> str:
        """A name that Mermaid takes for no word of its own, the same in each drawing."""
        known = self._ids.get((kind, key))
        if known is not None:
            return known
        stem = f"{kind}_{_ID.sub('_', key.lower())[:80]}"
        name, count = stem, 1
        while name in self._taken:
            count += 1
            name = f"{stem}_{count}"
        self._taken.add(name)
        self._ids[kind, key] = name
        return name

    # Edges

    def _connect(self, node: AgentNode) -> None:
        here, agent = self._id("agent", node.path), node.spec
        if agent.device is not None:
            self._device(here, agent.device)
        if node.kind:
            self._composition(node, here)
        for name, window_source in agent.onnx.on.items() if agent.onnx is not None else ():
            self._source(node, here, name, window_source)
        if agent.voice is not None:
            self._voice(node, here, agent.voice)
        for group in agent.triggers.values():
            for name, source in group.on.items():
                self._source(node, here if agent.flow is None else self._start(node, name), name, source)
            for action in group.do:
                if action.publish is not None:
                    self._edge(here, "-->", self._topic(action.publish.topic))
                if action.call is not None:
                    called = self._tree.destination(action.call.agent, node.path)
                    self._edge(here, "-.->", self._end(called.node, called.port), f"call {called.port}")
        for reference, _ in sends_of(node):
            target = self._tree.destination(reference, node.path)
            self._edge(here, "-.->", self._end(target.node, target.port), target.port)
        for port, declared in agent.outputs.items():
            if declared.from_ is not None:
                inner = self._tree.child_output(declared.from_, node)
                self._edge(self._end(inner.node, inner.port), "-->", self._end(node, port), inner.port)

    def _start(self, flow: AgentNode, source: str) -> str:
        """Where a source of a flow's own group leads: to the input that gets its value, or to the whole if none does."""
        inputs = self._tree.ports(flow).inputs
        port = next(iter(inputs)) if len(inputs) == 1 else source
        return self._end(flow, port) if port in inputs else self._id("frame", flow.path)

    def _composition(self, node: AgentNode, here: str) -> None:
        agent, members = node.spec, self._tree.members(node)
        if agent.flow is not None:
            self._flow(node, agent.flow, members)
        if agent.chat is not None:
            for name in agent.chat.members:
                self._edge(here, "<-->", self._entry(members[name]))
        if agent.switch is not None:
            for case in agent.switch.cases:
                self._edge(here, "-->", self._entry(members[case.to]), case.when)
            if agent.switch.default is not None:
                self._edge(here, "-->", self._entry(members[agent.switch.default]), "default")
        if agent.pool is not None:
            for member in members.values():
                self._edge(here, "-->", self._entry(member))
        if agent.human is not None and agent.human.notify is not None:
            self._edge(here, "-->", self._topic(agent.human.notify), "notify")
        if agent.human is not None and agent.human.answers is not None:
            self._edge(self._topic(agent.human.answers), "-->", here, "answers")

    def _flow(self, node: AgentNode, flow: FlowSpec, members: dict[str, AgentNode]) -> None:
        from edgematrix.composition.flow_reading import Reading  # noqa: PLC0415 - few matrices have a flow

        outputs = {name: port.from_ for name, port in node.spec.outputs.items()}
        reading = Reading(
            flow, members, node.spec.inputs, outputs, lambda _member, _port: None, lambda name: self._tree.implied_input(members[name])
        )
        back = {edge for number, edge in reading.arcs() if reading.graph is not None and number in reading.graph.back}
        for edge in reading.edges:
            tail, head = edge.tail, edge.head
            start = self._end(members.get(tail.name, node), tail.port)
            end = self._end(members.get(head.name, node), head.port)
            named = [tail.port] if tail.name and tail.port != DEFAULT_OUTPUT else []
            if head.name and head.port != self._tree.implied_input(members[head.name]):
                named.append(head.port)
            self._edge(start, "-.->" if edge in back else "-->", end, edge.when or " to ".join(named))
        if reading.ending is not None:
            last = members[reading.names[reading.ending]]
            self._edge(self._end(last, DEFAULT_OUTPUT), "-->", self._end(node, DEFAULT_OUTPUT))

    def _entry(self, member: AgentNode) -> str:
        return self._end(member, self._tree.default_input(member))

    def _device(self, here: str, device: DeviceSpec) -> None:
        for name, read in device.reads.items():
            self._edge(self._topic(read.topic), "-->", here, name)
        for name, write in device.writes.items():
            self._edge(here, "-->", self._topic(write.topic), name)
            asked = write.approval
            if asked is not None and asked.notify is not None:
                self._edge(here, "-->", self._topic(asked.notify), "notify")
            if asked is not None and asked.answers is not None:
                self._edge(self._topic(asked.answers), "-->", here, "answers")
        if device.availability is not None:
            self._edge(self._topic(device.availability.topic), "-->", here, "availability")

    def _voice(self, node: AgentNode, here: str, voice: VoiceSpec) -> None:
        site = f"hermes/audioServer/{voice.site or node.name}"
        self._edge(self._topic(f"{site}/audioFrame"), "-->", here, "sound")
        if voice.answer != "none":
            self._edge(here, "-->", self._topic("hermes/tts/say" if voice.answer == "hermes" else f"{site}/playBytes/…"), "answer")

    def _source(self, node: AgentNode, here: str, name: str, source: SourceSpec | OnnxSource) -> None:
        if source.topic is not None:
            self._edge(self._topic(source.topic), "-->", here, name)
        elif source.from_ is not None:
            target = self._tree.source(source.from_, node.path)
            end = self._end(target.node, target.port)
            if end != here:
                self._edge(end, "-->", here, target.port)
        elif isinstance(source, SourceSpec):
            self._edge(self._clock(_clock_words(source)), "-->", here)

    def _edge(self, start: str, arrow: str, end: str, label: str = "") -> None:
        self._edges[start, arrow, end, label] = None

    # The way of a run

    def _numbers(self) -> dict[int, list[int]]:
        """The steps that went along each edge, by its place."""
        found: dict[int, list[int]] = {}
        for hop in () if self._taken_by_run is None else self._taken_by_run.hops:
            starts, ends = self._ids_of(hop.start), self._ids_of(hop.end)
            for place, (start, _, end, _) in enumerate(self._edges):
                if start in starts and end in ends and hop.step not in found.get(place, ()):
                    found.setdefault(place, []).append(hop.step)
        return found

    def _ids_of(self, path: str) -> set[str]:
        """What is drawn for an agent, and for its ports; for a replica of a pool that is the one that is drawn for all."""
        node = self._tree.nodes.get(AgentPath(path))
        if node is None:
            return set()
        drawn = self._drawn[node.where]
        ports = self._ports.get(drawn.path, {})
        has_node = not drawn.spec.agents or _has_body(drawn.spec)
        return {*ports, self._id("agent", drawn.path)} if has_node else set(ports)

    def _marks(self, taken: Taken, numbers: dict[int, list[int]]) -> Iterator[str]:
        """The lines that mark what a run did."""
        for state, style in RUN_STYLES.items():
            drawn = [name for path, its in taken.states.items() if its == state for name in sorted(self._ids_of(path))]
            if drawn:
                yield f"  class {','.join(dict.fromkeys(drawn))} {style.name}"
                yield f"  classDef {style.name} {style.text}"
        if numbers:
            yield f"  linkStyle {','.join(map(str, sorted(numbers)))} {TAKEN_STYLE}"


def _edge_line(edge: tuple[str, str, str, str], steps: Sequence[int]) -> str:
    start, arrow, end, label = edge
    numbers = ", ".join(map(str, steps))
    label = f"{numbers}: {label}" if numbers and label else numbers or label
    return f"{start} {arrow}|{_label(label)}| {end}" if label else f"{start} {arrow} {end}"


def _has_body(agent: AgentSpec) -> bool:
    """Whether there is something to draw beside what an agent holds. A flow is its edges."""
    return works(agent) and agent.flow is None


def _definition_name(node: AgentNode) -> str:
    return str(node.where[-1])


def _clock_words(source: SourceSpec) -> str:
    if source.every is not None:
        return f"every {format_duration(source.every)}"
    if isinstance(source.during, Window):
        return f"during {source.during.from_}-{source.during.to}"
    for word, value in (("cron", source.cron), ("at", source.at), ("sun", source.sun), ("during", source.during)):
        if value is not None:
            return f"{word} {value}"
    raise AssertionError("a source without topic, from or clock was refused when the file was read")


def _label(text: str) -> str:
    """`text` in quotes, with everything that Mermaid or HTML could read written as an entity."""
    shown = text if len(text) <= _LABEL_LENGTH_MAX else text[: _LABEL_LENGTH_MAX - 1] + "…"
    return '"' + _UNSAFE.sub(lambda found: f"#{ord(found[0])};", shown) + '"'
