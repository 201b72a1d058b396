"""What the ports of an agent take, for the engine: as declared, unless the agent's code judges it by its own types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgematrix.config.agent_tree import DEFAULT_INPUT, DEFAULT_OUTPUT, AgentNode
from edgematrix.protocol.port_check import PortCheck, port_check
from edgematrix.protocol.topic import Kind, topic_for

if TYPE_CHECKING:
    from edgematrix.config.agent import Agent

__all__ = ["port_checks"]


def port_checks(root: str, node: AgentNode, defined: Agent[Any, Any] | None) -> dict[str, PortCheck]:
    """The checks of an agent's declared ports, by topic.

    Args:
        defined: the agent as Python defines it, whose types pydantic reads and writes; None where a file defines it.
    """
    found: dict[str, PortCheck] = {}
    spec = node.spec
    for kind, ports, judged in ((Kind.IN, spec.inputs, DEFAULT_INPUT), (Kind.OUT, spec.outputs, DEFAULT_OUTPUT)):
        for name, port in ports.items():
            if defined is not None and name == judged:
                continue
            check = port_check(port.type, _plain(port.schema))
            if check is not None:
                found[topic_for(root, kind, node.path, name)] = check
    return found


def _plain(schema: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    return None if schema is None else dict(schema)
