"""An agent of a matrix as what ESPHome is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgematrix.agents.spec import PortSpec
from edgematrix.config.agent_tree import AgentTree
from edgematrix.config.board import board_of
from edgematrix.config.inherited import Inherited
from edgematrix.config.spec import MatrixSpec
from edgematrix.errors import UsageError
from edgematrix.integrations.esphome import EsphomeBoard, EsphomeInput, EsphomeOutput
from edgematrix.protocol.path import AgentPath

__all__ = ["esphome_board"]

_OF_SCHEMA = {"string": "text", "number": "number", "integer": "whole", "boolean": "bool", "object": "object", "array": "list"}
_INT_MAX = 2**31 - 1


def esphome_board(spec: MatrixSpec, path: str) -> EsphomeBoard:
    """What the YAML of a device is made of.

    Raises:
        UsageError: there is no such agent, the matrix runs it itself, it has no ports, or is to do what an ESPHome device cannot.
    """
    tree = AgentTree.of(spec)
    node = board_of(tree, path)
    if _inherited(spec, tree, node.path).is_durable:
        raise UsageError(
            "delivery: durable is more than an ESPHome device can do: it keeps nothing through a power cut",
            where=node.path,
            remedy="say `delivery: best_effort` there",
        )
    if not node.spec.inputs and not node.spec.outputs:
        what = "the agent has no ports, so the device would have nothing to say"
        raise UsageError(what, where=node.path, remedy="outputs: {level: number}")
    return EsphomeBoard(
        path=node.path,
        root=spec.root,
        inputs={name: _input(port) for name, port in node.spec.inputs.items()},
        outputs={name: EsphomeOutput(_kind(port), port.qos, port.retain) for name, port in node.spec.outputs.items()},
    )


def _inherited(spec: MatrixSpec, tree: AgentTree, path: AgentPath) -> Inherited:
    found, names = Inherited().under(spec.defaults), path.split("/")
    for end in range(2, len(names) + 1):
        found = found.of(tree.nodes[AgentPath("/".join(names[:end]))].spec)
    return found


def _input(port: PortSpec) -> EsphomeInput:
    kind, schema = _kind(port), port.schema or {}
    if kind not in ("number", "whole"):
        return EsphomeInput(kind)
    return EsphomeInput(kind, _bound(schema, "minimum"), _bound(schema, "maximum"))


def _kind(port: PortSpec) -> str:
    if port.type is not None:
        return port.type
    kind = (port.schema or {}).get("type")
    return _OF_SCHEMA.get(kind, "any") if isinstance(kind, str) else "any"


def _bound(schema: Mapping[str, Any], name: str) -> float | None:
    value = schema.get(name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _INT_MAX
    return float(value) if value is not None and is_number else None
