"""The fields of values that the expressions of compositions may name, as far as the types of ports tell."""

from __future__ import annotations

from edgematrix.config.agent_tree import DEFAULT_INPUT, DEFAULT_OUTPUT, AgentNode, AgentTree
from edgematrix.config.port_types import input_type, output_type
from edgematrix.protocol.compatibility import field_names

__all__ = ["fields_of_input", "fields_of_output", "fields_of_replies", "fields_of_request"]


def fields_of_output(tree: AgentTree, node: AgentNode, port: str) -> tuple[str, ...] | None:
    """The fields of what an agent puts out; None where any may be there."""
    return field_names(output_type(tree, node, port))


def fields_of_input(tree: AgentTree, node: AgentNode, port: str) -> tuple[str, ...] | None:
    """The fields of what an agent takes; None where any may be there."""
    return field_names(input_type(tree, node, port))


def fields_of_request(tree: AgentTree, node: AgentNode) -> tuple[str, ...] | None:
    """The fields of what a composition is asked: those of its only input; of several inputs their names."""
    inputs = node.spec.inputs
    return tuple(inputs) if len(inputs) > 1 else fields_of_input(tree, node, next(iter(inputs), DEFAULT_INPUT))


def fields_of_replies(tree: AgentTree, chat: AgentNode) -> tuple[str, ...] | None:
    """The fields that a reply in a chat may have, whoever speaks; None where any may be there."""
    assert chat.spec.chat is not None  # noqa: S101 - whoever asks knows
    members = tree.members(chat)
    found: dict[str, None] = {}
    for name in chat.spec.chat.members:
        member = members.get(name)
        fields = None if member is None else fields_of_output(tree, member, DEFAULT_OUTPUT)
        if fields is None:
            return None
        found |= dict.fromkeys(fields)
    return tuple(found)
