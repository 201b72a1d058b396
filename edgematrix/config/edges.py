"""Finds the edges between agents here and agents elsewhere on which delivery is durable."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from edgematrix.config.agent_tree import AgentNode, AgentTree, Target
from edgematrix.config.inherited import Inherited
from edgematrix.errors import EdgeMatrixError
from edgematrix.protocol.path import AgentPath, is_below, parent_of
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.runtime.edges import NO_EDGES, Edges

__all__ = ["edges_of"]


def edges_of(tree: AgentTree) -> Edges:
    """What agents elsewhere acknowledge. An output is acknowledged where both who puts it out and who reads it are durable."""
    elsewhere = [node for node in tree if node.is_elsewhere]
    if not elsewhere:
        return NO_EDGES
    found = _Finder(tree)
    for node in tree:
        if node.is_elsewhere:
            found.look(node)
        found.reads_durably(node)
    return Edges(
        frozenset(found.acking),
        frozenset(path for path in found.acking if tree.nodes[path].spec.device is None),
        {topic: frozenset(readers) for topic, readers in found.readers.items()},
        {agent: frozenset(hearers) for agent, hearers in found.hearers.items()},
        frozenset(node.path for node in elsewhere if node.is_board),
        frozenset(found.patient),
        frozenset(found.steady),
        frozenset(found.outputs),
        {topic: frozenset(readers) for topic, readers in found.inputs.items()},
    )


class _Finder:
    """Goes through agents, and notes what of others each reads."""

    def __init__(self, tree: AgentTree) -> None:
        self._tree = tree
        self._inherited: dict[AgentPath, Inherited] = {}
        self.acking: set[AgentPath] = set()
        self.readers: dict[str, set[AgentPath]] = {}
        self.hearers: dict[AgentPath, set[AgentPath]] = {}
        self.patient: set[AgentPath] = set()
        self.steady: set[AgentPath] = set()
        self.outputs: set[str] = set()
        self.inputs: dict[str, set[AgentPath]] = {}

    def look(self, node: AgentNode) -> None:
        """Note what an agent elsewhere acknowledges."""
        durable = self._of(node).is_durable
        if durable or not node.is_board:
            self.acking.add(node.path)
        if not node.is_board:
            self._reads(node)
        above = self._tree.nodes.get(parent_of(node.path) or "")
        if durable and not node.is_board:
            self.steady.add(node.path)
            if above is None or above.spec.pool is None:
                self.patient.add(node.path)

    def reads_durably(self, node: AgentNode) -> None:
        """Note what a durable agent acknowledges of what others put out.

        One that is here, too, of agents elsewhere: such an agent may have been here before, and have left something to be delivered.
        """
        if not self._of(node).is_durable:
            return
        root = self._tree.matrix.root
        for reference in _sources(node):
            try:
                target = self._tree.source(reference, node.path)
            except EdgeMatrixError:
                continue  # checking the matrix tells it
            if target.kind is Kind.OUT and self._is_edge(target.node, node):
                self.readers.setdefault(topic_for(root, Kind.OUT, target.node.path, target.port), set()).add(node.path)
        for heard in self._heard(node):
            if self._is_edge(heard, node):
                self.hearers.setdefault(heard.path, set()).add(node.path)
        for port in node.spec.outputs.values():
            if port.from_ is not None:
                self._relayed(node, port.from_)

    def _reads(self, node: AgentNode) -> None:
        """Note what of ours an agent elsewhere reads, durable or not."""
        root = self._tree.matrix.root
        relayed = [port.from_ for port in node.spec.outputs.values() if port.from_ is not None and node.spec.flow is None]
        found: list[Target] = []
        for reference in _sources(node):
            with suppress(EdgeMatrixError):  # checking the matrix tells it
                found.append(self._tree.source(reference, node.path))
        for reference in relayed:
            with suppress(EdgeMatrixError):
                found.append(self._tree.child_output(reference, node))
        for target in found:
            topic = topic_for(root, target.kind, target.node.path, target.port)
            if target.node.is_elsewhere:
                continue
            if target.kind is Kind.OUT:
                self.outputs.add(topic)
            else:
                self.inputs.setdefault(topic, set()).add(node.path)

    def _relayed(self, node: AgentNode, reference: str) -> None:
        try:
            target = self._tree.child_output(reference, node)
        except EdgeMatrixError:
            return  # checking the matrix tells it
        if self._is_edge(target.node, node):
            topic = topic_for(self._tree.matrix.root, Kind.OUT, target.node.path, target.port)
            self.readers.setdefault(topic, set()).add(node.path)

    def _heard(self, node: AgentNode) -> Iterator[AgentNode]:
        """The agents all of whose outputs one hears, for it calls them."""
        if node.spec.llm is not None or node.spec.sentences is not None:
            from edgematrix.config.callees import callees_of  # noqa: PLC0415 - few matrices have either

            yield from (target.node for target in callees_of(self._tree, node).values())
        elif node.kind:
            yield from self._tree.members(node).values()
        for trigger in node.spec.triggers.values():
            for action in trigger.do:
                if action.call is not None:
                    try:
                        yield self._tree.destination(action.call.agent, node.path).node
                    except EdgeMatrixError:
                        continue  # checking the matrix tells it
        for reference in node.spec.sends:
            with suppress(EdgeMatrixError):  # checking the matrix tells it
                yield self._tree.destination(reference, node.path).node
        if node.spec.python is not None and node.spec.agents:
            yield from (below for below in self._tree if is_below(below.path, node.path))

    def _is_edge(self, sender: AgentNode, reader: AgentNode) -> bool:
        return (sender.is_elsewhere or reader.is_elsewhere) and self._of(sender).is_durable

    def _of(self, node: AgentNode) -> Inherited:
        return self._below(parent_of(node.path)).of(node.spec)

    def _below(self, path: AgentPath | None) -> Inherited:
        """What the agents right below `path` take over."""
        if path is None or path not in self._tree.nodes:
            return Inherited().under(self._tree.matrix.defaults)
        found = self._inherited.get(path)
        if found is None:
            found = self._inherited[path] = self._below(parent_of(path)).of(self._tree.nodes[path].spec)
        return found


def _sources(node: AgentNode) -> Iterator[str]:
    if node.spec.onnx is not None:
        yield from (source.from_ for source in node.spec.onnx.on.values() if source.from_ is not None)
    for trigger in node.spec.triggers.values():
        for source in trigger.on.values():
            if source.from_ is not None:
                yield source.from_
