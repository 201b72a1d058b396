"""Which names of a value an expression may use by themselves."""

from __future__ import annotations

from typing import Any

from edgematrix.agents.spec import PortSpec
from edgematrix.config.agent_tree import AgentNode, AgentTree, Target
from edgematrix.errors import PathError
from edgematrix.protocol.topic import Kind
from edgematrix.triggers.spec import SourceSpec

__all__ = ["fields_of", "fields_of_output", "fields_of_request"]

_RELAYS_MAX = 16
"""How many composites may pass an output on."""
_WITHOUT_FIELDS = frozenset({"text", "number", "whole", "bool", "list", "string", "integer", "boolean", "array", "null"})


def fields_of(source: SourceSpec, target: Target | None) -> tuple[str, ...]:
    """The properties of the value, as far as the schema of the source, or of the port that it reads, says."""
    schema = source.schema
    if schema is None and target is not None and source.value is None:
        schema = _schema_of(target)
    properties = (schema or {}).get("properties")
    return tuple(properties) if isinstance(properties, dict) else ()


def fields_of_output(tree: AgentTree, node: AgentNode, port: str) -> tuple[str, ...] | None:
    """The properties of what an agent puts out; None where nothing says which it has."""
    for _ in range(_RELAYS_MAX):
        if node.spec.device is not None and port in node.spec.device.reads:
            read = node.spec.device.reads[port]
            return _fields(read.as_, read.schema)
        declared = node.spec.outputs.get(port)
        if declared is None or declared.from_ is None or declared.schema is not None:
            return _fields_of_port(declared)
        try:
            inner = tree.child_output(declared.from_, node)
        except PathError:
            return None  # told by the checks of references
        node, port = inner.node, inner.port
    return None


def fields_of_request(node: AgentNode) -> tuple[str, ...] | None:
    """The properties of what a composition is asked: of the value of its one input, or of several inputs their names."""
    inputs = node.spec.inputs
    return tuple(inputs) if len(inputs) > 1 else _fields_of_port(next(iter(inputs.values()), None))


def _fields_of_port(port: PortSpec | None) -> tuple[str, ...] | None:
    return None if port is None else _fields(port.type, port.schema)


def _fields(kind: str | None, schema: dict[str, Any] | None) -> tuple[str, ...] | None:
    """The properties of values of a type and a schema; None where a value may have others."""
    stated = kind or (schema or {}).get("type")
    if isinstance(stated, str) and stated in _WITHOUT_FIELDS:
        return ()
    properties = (schema or {}).get("properties")
    is_open = schema is None or schema.get("additionalProperties") not in (None, False) or "patternProperties" in schema
    return tuple(properties) if isinstance(properties, dict) and not is_open else None


def _schema_of(target: Target) -> dict[str, Any] | None:
    spec = target.node.spec
    read = spec.device.reads.get(target.port) if spec.device and target.kind is Kind.OUT else None
    if read is not None:
        return read.schema
    port = (spec.outputs if target.kind is Kind.OUT else spec.inputs).get(target.port)
    return None if port is None else port.schema
