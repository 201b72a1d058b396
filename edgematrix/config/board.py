"""Finds an agent that lives on a device of its own."""

from __future__ import annotations

from edgematrix.config.agent_tree import AgentNode, AgentTree
from edgematrix.errors import PathError, UsageError
from edgematrix.protocol.path import AgentPath, parse_path

__all__ = ["board_of"]

_SHOWN = 10


def board_of(tree: AgentTree, path: str) -> AgentNode:
    """The agent at a path, if it speaks for itself as a board does.

    Raises:
        UsageError: it is no path, there is no such agent, or the matrix runs it itself.
    """
    try:
        parse_path(path)
    except PathError as error:
        raise UsageError(error.what, remedy=error.remedy or "an agent's path, such as home/shed/tank") from None
    node = tree.nodes.get(AgentPath(path))
    if node is not None and node.is_board:
        return node
    boards = sorted(each.path for each in tree if each.is_board)
    what = f"the matrix has no agent {path}" if node is None else f"{path} is no device of its own: the matrix runs it"
    remedy = f"its devices are {', '.join(boards[:_SHOWN])}" if boards else "it has none: give the agent `host:` and ports alone"
    raise UsageError(what, where=path, remedy=remedy)
