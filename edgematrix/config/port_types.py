"""The types of ports, as far as definitions and code tell: declared, those of a function, or those of what feeds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from edgematrix.agents.spec import PortSpec, ReadSpec
from edgematrix.config.agent_tree import DEFAULT_OUTPUT, AgentNode, AgentTree
from edgematrix.config.spec import AgentSpec
from edgematrix.errors import PathError
from edgematrix.protocol.compatibility import JsonSchema
from edgematrix.protocol.schema import SHORT_NAMES

__all__ = ["Edge", "edges_of", "input_type", "origin_type", "output_type"]

_ANSWER = {
    "type": "object",
    "properties": {"answer": {}, "by": {"type": "string"}, "default": {"type": "boolean"}},
    "required": ["answer", "by", "default"],
}
"""What a human agent puts out."""
_SCORED: dict[str, JsonSchema] = {
    "label": {"type": "string"},
    "score": {"type": "number"},
    "embedding": {"type": "array", "items": {"type": "number"}},
}
"""What a model over a window puts out."""
_TEXT: JsonSchema = {"type": "string"}
_HEARD: dict[str, JsonSchema] = {
    port: {"type": "object", "properties": {**dict.fromkeys(fields, _TEXT), **more}, "required": list(fields)}
    for port, fields, more in (
        ("wake", ("word", "site"), {}),
        ("text", ("text", "site"), {"confidence": {"type": "number"}}),
        ("unheard", ("reason", "site"), {"text": _TEXT, "confidence": {"type": "number"}}),
        ("answer", ("text", "site"), {}),
    )
}
"""What an agent that listens puts out."""
_AS = {"number": {"type": "number"}, "bool": {"type": "boolean"}}


class Edge(msgspec.Struct, frozen=True):
    """One edge of a flow. `index` is its number in the definition; an end without a member is a port of the flow itself."""

    index: int
    origin: AgentNode | None
    origin_port: str
    target: AgentNode | None
    target_port: str

    def __str__(self) -> str:
        return f"{_named(self.origin, self.origin_port)} -> {_named(self.target, self.target_port)}"


def _named(node: AgentNode | None, port: str) -> str:
    return port if node is None else node.name


def edges_of(tree: AgentTree, flow: AgentNode) -> Iterator[Edge]:
    """The edges of a flow, one for each pair of ends. Those with an end that is not there are told elsewhere."""
    members = tree.members(flow)
    assert flow.spec.flow is not None  # noqa: S101 - whoever asks knows
    for index, edge in enumerate(flow.spec.flow.edges):
        for origins, targets in zip(edge.stations, edge.stations[1:], strict=False):
            for first in origins:
                for last in targets:
                    try:
                        origin, origin_port = _end(tree, members, first, is_target=False)
                        target, target_port = _end(tree, members, last, is_target=True)
                    except PathError:
                        continue  # told by the check of flows
                    yield Edge(index, origin, origin_port, target, target_port)


def _end(tree: AgentTree, members: dict[str, AgentNode], text: str, *, is_target: bool) -> tuple[AgentNode | None, str]:
    name, _, port = text.partition(".")
    member = members.get(name)
    if member is None or port:
        return member, port or name
    return member, tree.default_input(member) if is_target else DEFAULT_OUTPUT


def output_type(tree: AgentTree, node: AgentNode, port: str) -> JsonSchema | None:
    """What an agent puts out on a port; None where any value may come."""
    declared = node.spec.outputs.get(port)
    own = None if declared is None else _declared(declared)
    if own is not None:
        return own
    if declared is not None and declared.from_ is not None:
        try:
            inside = tree.child_output(declared.from_, node)
        except PathError:
            return None  # told by the checks of references
        return output_type(tree, inside.node, inside.port)
    return _own_output_type(tree, node, port)


def _own_output_type(tree: AgentTree, node: AgentNode, port: str) -> JsonSchema | None:
    """The type of an output that is not declared: a device's reading, what code returns, or what passes through a flow or a pool."""
    if node.spec.python is not None:
        is_its_own = port == DEFAULT_OUTPUT and not _is_declared(node.spec.outputs.get(port))
        return tree.code.output_type(node) if tree.code is not None and is_its_own else None
    if node.spec.device is not None:
        read = node.spec.device.reads.get(port)
        return None if read is None else _read_type(read)
    if node.spec.onnx is not None or node.spec.voice is not None:
        return (_SCORED if node.spec.onnx is not None else _HEARD).get(port)
    if node.spec.flow is not None:
        return _flow_output_type(tree, node, port)
    if node.spec.pool is not None and port == DEFAULT_OUTPUT:
        worker = next(iter(tree.members(node).values()), None)
        return None if worker is None else output_type(tree, worker, port)
    return _said(node.spec, port)


def _said(spec: AgentSpec, port: str) -> JsonSchema | None:
    """What a language model puts out, its answer or a field of it, or a person."""
    llm = spec.llm
    if llm is None:
        return _ANSWER if spec.human is not None and port == DEFAULT_OUTPUT else None
    if port == DEFAULT_OUTPUT:
        return SHORT_NAMES["text"] if llm.output is None else llm.output or None
    field = ((llm.output or {}).get("properties") or {}).get(port)
    return field if isinstance(field, Mapping) and field else None


def _read_type(read: ReadSpec) -> JsonSchema | None:
    if read.schema or read.as_:
        return read.schema or _AS[read.as_ or ""]
    if isinstance(read.value, dict):
        return {"type": "object", "properties": dict.fromkeys(read.value, True), "required": list(read.value)}
    return None


def _flow_output_type(tree: AgentTree, flow: AgentNode, port: str) -> JsonSchema | None:
    """What leads into an output of a flow; of one that declares none, what the only member without a way on puts out."""
    edges = list(edges_of(tree, flow))
    into = [edge for edge in edges if edge.target is None and edge.target_port == port and edge.origin is not None]
    fed = [edge for edge in edges if edge.target is None] or any(output.from_ for output in flow.spec.outputs.values())
    if fed:
        return origin_type(tree, flow, into[0]) if len(into) == 1 else None
    leaving = {edge.origin.path for edge in edges if edge.origin is not None}
    last = [member for member in tree.members(flow).values() if member.path not in leaving]
    return output_type(tree, last[0], DEFAULT_OUTPUT) if port == DEFAULT_OUTPUT and len(last) == 1 else None


def origin_type(tree: AgentTree, flow: AgentNode, edge: Edge) -> JsonSchema | None:
    """What an edge of a flow carries."""
    if edge.origin is None:
        return input_type(tree, flow, edge.origin_port)
    return output_type(tree, edge.origin, edge.origin_port)


def input_type(tree: AgentTree, node: AgentNode, port: str) -> JsonSchema | None:
    """What an agent takes on a port; None where it takes any value."""
    declared = node.spec.inputs.get(port)
    if node.spec.python is not None and not _is_declared(declared):
        return _taken_by_code(tree, node, port)
    if declared is not None:
        return _declared(declared)
    if node.spec.device is not None:
        write = node.spec.device.writes.get(port)
        return None if write is None else write.schema
    if node.spec.sentences is not None:
        return SHORT_NAMES["text"]
    return None if node.spec.pool is None else _taken_by_pool(tree, node)


def _taken_by_pool(tree: AgentTree, pool: AgentNode) -> JsonSchema | None:
    worker = next(iter(tree.members(pool).values()), None)
    try:
        return None if worker is None else input_type(tree, worker, tree.default_input(worker))
    except PathError:
        return None  # told by the checks of composites


def _taken_by_code(tree: AgentTree, node: AgentNode, port: str) -> JsonSchema | None:
    """What a function takes as its first parameter, if that is what comes on the port: of several inputs it gets an object."""
    is_its_only = not node.spec.triggers and tree.ports(node).inputs == {port}
    return tree.code.input_type(node) if tree.code is not None and is_its_only else None


def _is_declared(port: PortSpec | None) -> bool:
    return port is not None and (port.type is not None or port.schema is not None)


def _declared(port: PortSpec) -> JsonSchema | None:
    """The type that a port is declared with; None for none."""
    return {**SHORT_NAMES.get(port.type or "", {}), **(port.schema or {})} or None
