"""Types on both ends of each edge: what is put out may be what is taken in (docs/spec/matrix.md, "Flows")."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from edgematrix.config.agent_tree import AgentNode, AgentTree, Target
from edgematrix.config.finding import Finding, error
from edgematrix.config.port_types import Edge, edges_of, input_type, origin_type, output_type
from edgematrix.errors import PathError, ProtocolError
from edgematrix.protocol.compatibility import JsonSchema, join_mismatch, mismatch
from edgematrix.protocol.port_check import port_check
from edgematrix.protocol.schema import compile_schema
from edgematrix.protocol.topic import Kind
from edgematrix.triggers.spec import SourceSpec

__all__ = ["check_types"]


def check_types(tree: AgentTree) -> Iterator[Finding]:
    """Edges, sources and sends whose ends do not fit; each names the field."""
    seen: set[object] = set()
    is_typed = tree.code is not None or any(_takes_types(node) for node in tree)
    for node in tree:
        if node.where in seen:
            continue  # another replica of a pool
        seen.add(node.where)
        if node.spec.flow is not None:
            yield from _flow(tree, node)
        if node.spec.switch is not None or node.spec.pool is not None:
            yield from _requests(tree, node)
        yield from _outputs(tree, node)
        yield from _sources(tree, node)
        yield from _emits(node)
        if is_typed:
            yield from _sends(tree, node)


def _takes_types(node: AgentNode) -> bool:
    spec = node.spec
    return bool(spec.inputs or (spec.device and any(write.schema is not None for write in spec.device.writes.values())))


# Edges of flows


def _flow(tree: AgentTree, flow: AgentNode) -> Iterator[Finding]:
    edges = list(edges_of(tree, flow))
    ports: dict[tuple[str, str], list[Edge]] = {}
    for edge in edges:
        if edge.target is None:
            declared = output_type(tree, flow, edge.target_port)
            yield from _told(flow, edge, mismatch(origin_type(tree, flow, edge), declared))
        else:
            ports.setdefault((edge.target.path, edge.target_port), []).append(edge)
    for leading in ports.values():
        yield from _one(tree, flow, leading[0]) if len(leading) == 1 else _join(tree, flow, leading)


def _one(tree: AgentTree, flow: AgentNode, edge: Edge) -> Iterator[Finding]:
    yield from _told(flow, edge, mismatch(origin_type(tree, flow, edge), _target_type(tree, edge)))


def _join(tree: AgentTree, flow: AgentNode, edges: list[Edge]) -> Iterator[Finding]:
    """Several edges into one port: an object with what came, by the name of the edge's origin."""
    wanted = _target_type(tree, edges[0])
    names = _origins(edges)
    parts = {name: origin_type(tree, flow, edge) for name, edge in names.items()}
    if wanted is None or not join_mismatch(parts, wanted):
        return
    wrong = {name: reason for name, part in parts.items() if (reason := join_mismatch({**dict.fromkeys(parts), name: part}, wanted))}
    shared = join_mismatch(dict.fromkeys(parts), wanted)
    if shared or not wrong:
        yield from _told(flow, edges[0], shared or join_mismatch(parts, wanted), ", ".join(names))
        return
    for name, reason in wrong.items():
        yield from _told(flow, names[name], reason)


def _origins(edges: list[Edge]) -> dict[str, Edge]:
    """The edges by the name under which their values come: with the port where a member gives from several."""
    ports: dict[str, set[str]] = {}
    for edge in edges:
        if edge.origin is not None:
            ports.setdefault(edge.origin.path, set()).add(edge.origin_port)
    named: dict[str, Edge] = {}
    for edge in edges:
        if edge.origin is None:
            name = edge.origin_port
        else:
            name = f"{edge.origin.name}.{edge.origin_port}" if len(ports[edge.origin.path]) > 1 else edge.origin.name
        named.setdefault(name, edge)
    return named


def _target_type(tree: AgentTree, edge: Edge) -> JsonSchema | None:
    assert edge.target is not None  # noqa: S101 - an edge into a member
    return input_type(tree, edge.target, edge.target_port)


def _told(flow: AgentNode, edge: Edge, reason: str, origins: str = "") -> Iterator[Finding]:
    if reason:
        name = str(edge) if not origins else f"{origins} -> {str(edge).partition(' -> ')[2]}"
        yield error((*flow.where, "flow", "edges", edge.index), f"the types of {name} do not fit: {reason}")


# What else leads from an output to an input


def _requests(tree: AgentTree, node: AgentNode) -> Iterator[Finding]:
    """The request of a switch or a pool, as it comes to each member."""
    if len(node.spec.inputs) != 1:
        return
    (port,) = node.spec.inputs
    given = input_type(tree, node, port)
    told: set[object] = set()
    for member in tree.members(node).values():
        with suppress(PathError):  # it has several inputs; told where it is used
            reason = mismatch(given, input_type(tree, member, tree.default_input(member)))
            if reason and member.where not in told:
                told.add(member.where)
                yield error((*node.where, "inputs", port), f"the types of {port} and {member.name} do not fit: {reason}")


def _outputs(tree: AgentTree, node: AgentNode) -> Iterator[Finding]:
    """Outputs that are declared with a type, and come from a child."""
    for name, port in node.spec.outputs.items():
        if port.from_ is None or (port.type is None and port.schema is None):
            continue
        with suppress(PathError):  # told by the checks of references
            inside = tree.child_output(port.from_, node)
            reason = mismatch(output_type(tree, inside.node, inside.port), output_type(tree, node, name))
            if reason:
                yield error((*node.where, "outputs", name, "from"), f"the types of {port.from_} and {name} do not fit: {reason}")


def _sources(tree: AgentTree, node: AgentNode) -> Iterator[Finding]:
    """Sources with a type of their own that read an agent's port."""
    for group_name, group in node.spec.triggers.items():
        for name, source in group.on.items():
            if source.from_ is None or source.schema is None or not _reads_whole(source):
                continue
            with suppress(PathError):  # told by the checks of references
                reason = mismatch(_target_output(tree, tree.source(source.from_, node.path)), source.schema)
                if reason:
                    where = (*node.where, "triggers", group_name, "on", name, "from")
                    yield error(where, f"the types of {source.from_} and {name} do not fit: {reason}")


def _reads_whole(source: SourceSpec) -> bool:
    return source.value is None and source.as_ is None and source.aggregate is None and source.absent is None


def _target_output(tree: AgentTree, target: Target) -> JsonSchema | None:
    return (output_type if target.kind is Kind.OUT else input_type)(tree, target.node, target.port)


def _sends(tree: AgentTree, node: AgentNode) -> Iterator[Finding]:
    """Payloads that are written out, and sent to an input with a type."""
    for name, group in node.spec.triggers.items():
        for index, action in enumerate(group.do):
            if action.send is None or action.send.payload is None or _is_templated(action.send.payload):
                continue
            with suppress(PathError, ProtocolError):  # told by the checks of references and of schemas
                target = tree.destination(action.send.to, node.path)
                wanted = input_type(tree, target.node, target.port)
                if wanted is None or (target.node.spec.device is not None and isinstance(action.send.payload, str)):
                    continue  # a device takes a text that spells an object for that object
                reason = compile_schema(wanted).refusal(action.send.payload)
                if reason is not None:
                    where = (*node.where, "triggers", name, "do", index, "send", "payload")
                    yield error(where, f"the payload does not fit {target.node.path}.{target.port}: {reason}")


def _emits(node: AgentNode) -> Iterator[Finding]:
    """Payloads that are written out, and put out on an output that is declared with a type."""
    for name, group in node.spec.triggers.items():
        for index, action in enumerate(group.do):
            for port, payload in (action.emit or {}).items():
                declared = node.spec.outputs.get(port)
                if declared is None or _is_templated(payload):
                    continue
                with suppress(ProtocolError):  # told by the checks of schemas
                    check = port_check(declared.type, declared.schema)
                    reason = "" if check is None else check.reason(payload)
                    if reason:
                        where = (*node.where, "triggers", name, "do", index, "emit", port)
                        yield error(where, f"the payload does not fit the output {port!r}: {reason}")


def _is_templated(payload: object) -> bool:
    if isinstance(payload, str):
        return "${" in payload
    if isinstance(payload, dict):
        return any(map(_is_templated, payload.values()))
    return isinstance(payload, list) and any(map(_is_templated, payload))
