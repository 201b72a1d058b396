"""What a host subscribes to for the inputs of its agents, and for what agents above them ask."""

from __future__ import annotations

from collections.abc import Iterator

from edgematrix.config.agent_tree import AgentNode, AgentTree
from edgematrix.protocol.topic import Kind, topic_for

__all__ = ["INBOUND", "inbound_filters"]

INBOUND = (Kind.IN, Kind.CTL)
"""The kinds of topics on which an agent is told what to do."""


def inbound_filters(tree: AgentTree) -> list[str]:
    """Filters that match the inputs of all agents here, and what agents above ask of them, each once.

    A host that runs all there is hears the whole matrix, and so what is sent to nobody; of several hosts each hears its own.
    """
    matrix = tree.matrix
    if not tree.places.here:
        found = [(matrix.matrix, "#")]
    else:
        found = list(_of(tree, [node for name in matrix.agents if (node := tree.nodes.get(f"{matrix.matrix}/{name}"))]))
    return [topic_for(matrix.root, kind, path, rest) for kind in INBOUND for path, rest in found]


def _of(tree: AgentTree, nodes: list[AgentNode]) -> Iterator[tuple[str, str]]:
    for node in nodes:
        members = list(tree.members(node).values())
        if _is_all_here(tree, node):
            yield node.path, "+/#" if members else "+"  # `#` alone is the agent's name too, as if that were a port above
            continue
        if not node.is_elsewhere:
            yield node.path, "+"
        yield from _of(tree, members)


def _is_all_here(tree: AgentTree, node: AgentNode) -> bool:
    return not node.is_elsewhere and all(_is_all_here(tree, member) for member in tree.members(node).values())
