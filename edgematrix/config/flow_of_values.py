"""Which source of which group a published, emitted or sent value reaches, as far as the definitions tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from edgematrix.agents.spec import ReadSpec
from edgematrix.config.agent_tree import AgentNode, AgentTree
from edgematrix.config.topic_index import TopicIndex
from edgematrix.config.yaml_position import Key
from edgematrix.errors import PathError, TopicError
from edgematrix.protocol.topic import Kind
from edgematrix.protocol.value import compile_value
from edgematrix.triggers.spec import GroupSpec, SourceSpec

__all__ = ["ANY", "FlowOfValues", "GroupNode", "SourceNode"]


class _Any:
    """A value that is not known before it is sent."""


ANY: Final = _Any()
_RELAYS_MAX = 16
"""How many composites may pass an output on."""


class GroupNode(msgspec.Struct):
    """A group in the graph. `index` is its number in written order."""

    index: int
    agent: AgentNode
    name: str
    spec: GroupSpec

    @property
    def where(self) -> tuple[Key, ...]:
        """Its place in the document."""
        return (*self.agent.where, "triggers", self.name)

    def __str__(self) -> str:
        return f"{self.agent.path}.{self.name}"


class SourceNode(msgspec.Struct, eq=False):
    """A source of a group that a value reaches, and every value that is known to: from which group, and which."""

    group: GroupNode
    spec: SourceSpec
    read: Callable[[object], object]
    hits: list[tuple[int, object]] = []


_Source = tuple[int, str]
"""The number of a group, and the name of one of its sources: most sources are reached by nothing, and need no more."""


class FlowOfValues:
    """The wires of a matrix."""

    def __init__(self, tree: AgentTree) -> None:
        self.groups: list[GroupNode] = []
        self.reached: dict[_Source, SourceNode] = {}
        self._topics: TopicIndex[_Source] = TopicIndex()
        self._reads: TopicIndex[tuple[AgentNode, str, ReadSpec]] = TopicIndex()
        self._ports: dict[tuple[Kind, str, str], list[_Source]] = {}
        self._relays: dict[tuple[str, str], list[tuple[str, str]]] = {}
        self._tree = tree
        for node in tree:
            self._add_groups(node)
            self._add_device(node)
            self._add_relays(node)

    def _add_groups(self, node: AgentNode) -> None:
        for group_name, spec in node.spec.triggers.items():
            group = GroupNode(len(self.groups), node, group_name, spec)
            self.groups.append(group)
            for name, source in spec.on.items():
                try:
                    self._add_source((group.index, name), source, node)
                except (PathError, TopicError):
                    continue  # told by the checks of sources and references

    def _add_source(self, name: _Source, spec: SourceSpec, node: AgentNode) -> None:
        if spec.topic is not None:
            self._topics.add(spec.topic, name)
        elif spec.from_ is not None:
            target = self._tree.source(spec.from_, node.path)
            self._ports.setdefault((target.kind, target.node.path, target.port), []).append(name)

    def _arrive(self, name: _Source, payload: object) -> Iterator[tuple[SourceNode, object]]:
        found = self.reached.get(name)
        if found is None:
            group = self.groups[name[0]]
            spec = group.spec.on[name[1]]
            try:
                found = SourceNode(group, spec, compile_value(spec.value, spec.as_))
            except PathError:
                return  # told by the checks of sources
            self.reached[name] = found
        yield found, ANY if payload is ANY else found.read(payload)

    def _add_device(self, node: AgentNode) -> None:
        for name, read in node.spec.device.reads.items() if node.spec.device else ():
            try:
                self._reads.add(read.topic, (node, name, read))
            except TopicError:
                continue  # told by the checks of devices

    def _add_relays(self, node: AgentNode) -> None:
        if node.spec.outputs and node.kind:
            return  # a composition puts out what its runs end with; how often they do is bounded
        for name, port in node.spec.outputs.items():
            if port.from_ is None:
                continue
            try:
                target = self._tree.child_output(port.from_, node)
            except PathError:
                continue  # told by the checks of references
            self._relays.setdefault((target.node.path, target.port), []).append((node.path, name))

    def publish(self, topic: str, payload: object) -> Iterator[tuple[SourceNode, object]]:
        """Whom a payload on a foreign topic reaches, with the value that each reads."""
        for source in self._topics.match(topic):
            yield from self._arrive(source, payload)
        for node, port, read in self._reads.match(topic):
            try:
                value = ANY if payload is ANY else compile_value(read.value, read.as_)(payload)
            except PathError:
                continue  # told by the checks of devices
            yield from self.emit(node.path, port, value)

    def emit(self, path: str, port: str, payload: object, relays: int = 0) -> Iterator[tuple[SourceNode, object]]:
        """Whom an output reaches."""
        for source in self._ports.get((Kind.OUT, path, port), ()):
            yield from self._arrive(source, payload)
        if relays < _RELAYS_MAX:
            for composite, name in self._relays.get((path, port), ()):
                yield from self.emit(composite, name, payload, relays + 1)

    def send(self, reference: str, sender: AgentNode, payload: object) -> Iterator[tuple[SourceNode, object]]:
        """Whom a send reaches: the readers of an input, or those of the topic that a device writes."""
        try:
            target = self._tree.destination(reference, sender.path)
        except PathError:
            return  # told by the checks of references
        device = target.node.spec.device
        write = device.writes.get(target.port) if device else None
        if write is None:
            for source in self._ports.get((Kind.IN, target.node.path, target.port), ()):
                yield from self._arrive(source, payload)
        elif not write.rate and not write.dwell:
            yield from self.publish(write.topic, payload)
