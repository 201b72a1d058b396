"""Which host runs which agent of the chain, as its file says."""

from __future__ import annotations

from edgematrix.config.agent_tree import AgentTree
from edgematrix.config.spec import MatrixSpec
from edgematrix.protocol.path import AgentPath

__all__ = ["places_of"]


def places_of(spec: MatrixSpec) -> dict[AgentPath, str]:
    """The host of each agent; one that names none goes with the one above it."""
    tree = AgentTree.of(spec)
    hosts = {node.path: node.spec.host for node in tree if node.spec.host is not None}
    for node in tree:
        hosts.setdefault(node.path, hosts.get(AgentPath(node.path.rpartition("/")[0]), ""))
    return hosts
