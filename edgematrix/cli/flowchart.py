"""A matrix as a Mermaid flowchart (mermaid.js.org/syntax/flowchart.html): composites are frames, edges are what is wired."""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgematrix.agents.spec import DeviceSpec
from edgematrix.cli.about import works
from edgematrix.config.agent_tree import AgentNode, AgentTree
from edgematrix.config.check_references import sends_of
from edgematrix.config.spec import AgentSpec, MatrixSpec
from edgematrix.protocol.duration import format_duration
from edgematrix.protocol.path import AgentPath
from edgematrix.triggers.spec import SourceSpec, Window

__all__ = ["flowchart"]

_UNSAFE = re.compile(r"[^A-Za-z0-9 _./:+\-]")
_ID = re.compile(r"[^a-z0-9]")
_LABEL_LENGTH_MAX = 60
_STYLES = {
    "device": "fill:#dbeafe,stroke:#2563eb,color:#111827",
    "agent": "fill:#dcfce7,stroke:#16a34a,color:#111827",
    "topic": "fill:#f3f4f6,stroke:#9ca3af,color:#374151",
    "clock": "fill:#fef9c3,stroke:#ca8a04,color:#111827",
    "port": "fill:#ffffff,stroke:#6b7280,color:#111827",
}


def flowchart(spec: MatrixSpec) -> str:
    """The text of the chart; the same matrix gives the same text."""
    return _Chart(spec).text()


class _Chart:
    """Collects nodes and edges. A matrix that was checked has no reference that leads nowhere."""

    def __init__(self, spec: MatrixSpec) -> None:
        self._spec = spec
        self._tree = AgentTree.of(spec)
        self._ids: dict[tuple[str, str], str] = {}
        self._taken: set[str] = set()
        self._outside: dict[str, str] = {}
        """The lines of what stands outside the matrix, by id."""
        self._ports: dict[AgentPath, dict[str, str]] = {}
        """The lines of the ports that composites show, by composite and id."""
        self._edges: dict[str, None] = {}

    def text(self) -> str:
        """The whole chart."""
        for node in self._tree:
            self._connect(node)
        lines = ["flowchart LR"]
        lines += [f"  {line}" for line in self._outside.values()]
        lines += self._frame(AgentPath(self._spec.matrix), self._spec.agents, None, 1)
        lines += [f"  {edge}" for edge in self._edges]
        lines += [f"  classDef {name} {style}" for name, style in _STYLES.items()]
        return "\n".join(lines) + "\n"

    # Nodes

    def _frame(self, path: AgentPath, children: dict[str, AgentSpec], own: AgentSpec | None, depth: int) -> Iterator[str]:
        indent = "  " * depth
        name = path.rpartition("/")[2]
        yield f"{indent}subgraph {self._id('frame', path)}[{_label(name)}]"
        if own is not None and works(own):
            yield f"{indent}  {self._node(path, own)}"
        for line in self._ports.get(path, {}).values():
            yield f"{indent}  {line}"
        for child, spec in children.items():
            below = AgentPath(f"{path}/{child}")
            if spec.agents:
                yield from self._frame(below, spec.agents, spec, depth + 1)
            else:
                yield f"{indent}  {self._node(below, spec)}"
        yield f"{indent}end"

    def _node(self, path: AgentPath, agent: AgentSpec) -> str:
        name = _label(path.rpartition("/")[2])
        head = self._id("agent", path)
        if agent.device is not None or self._tree.nodes[path].is_elsewhere:
            return f"{head}[[{name}]]:::device"
        if agent.sentences is not None:
            return f"{head}>{name}]:::agent"
        if agent.python is not None:
            return f"{head}{{{{{name}}}}}:::agent"
        return f"{head}[{name}]:::agent"

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
        agent = node.spec
        if not agent.agents or (works(agent) and port not in agent.inputs and port not in agent.outputs):
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
        for group in agent.triggers.values():
            for name, source in group.on.items():
                self._source(node, here, name, source)
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

    def _device(self, here: str, device: DeviceSpec) -> None:
        for name, read in device.reads.items():
            self._edge(self._topic(read.topic), "-->", here, name)
        for name, write in device.writes.items():
            self._edge(here, "-->", self._topic(write.topic), name)
        if device.availability is not None:
            self._edge(self._topic(device.availability.topic), "-->", here, "availability")

    def _source(self, node: AgentNode, here: str, name: str, source: SourceSpec) -> None:
        if source.topic is not None:
            self._edge(self._topic(source.topic), "-->", here, name)
        elif source.from_ is not None:
            target = self._tree.source(source.from_, node.path)
            end = self._end(target.node, target.port)
            if end != here:
                self._edge(end, "-->", here, target.port)
        else:
            self._edge(self._clock(_clock_words(source)), "-->", here)

    def _edge(self, start: str, arrow: str, end: str, label: str = "") -> None:
        middle = f"{arrow}|{_label(label)}|" if label else arrow
        self._edges[f"{start} {middle} {end}"] = None


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
