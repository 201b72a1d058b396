"""Which names of a source's value a `where` may use by themselves."""

from __future__ import annotations

from typing import Any

from edgematrix.config.agent_tree import Target
from edgematrix.protocol.topic import Kind
from edgematrix.triggers.spec import SourceSpec

__all__ = ["fields_of"]


def fields_of(source: SourceSpec, target: Target | None) -> tuple[str, ...]:
    """The properties of the value, as far as the schema of the source, or of the port that it reads, says."""
    schema = source.schema
    if schema is None and target is not None and source.value is None:
        schema = _schema_of(target)
    properties = (schema or {}).get("properties")
    return tuple(properties) if isinstance(properties, dict) else ()


def _schema_of(target: Target) -> dict[str, Any] | None:
    spec = target.node.spec
    read = spec.device.reads.get(target.port) if spec.device and target.kind is Kind.OUT else None
    if read is not None:
        return read.schema
    port = (spec.outputs if target.kind is Kind.OUT else spec.inputs).get(target.port)
    return None if port is None else port.schema
