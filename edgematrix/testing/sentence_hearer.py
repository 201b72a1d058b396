"""Who of a matrix hears the sentences that it is measured with, and on which topic they come."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from edgematrix.config.agent_tree import AgentNode, AgentTree
from edgematrix.config.callees import escalation_of
from edgematrix.config.check_members import hears
from edgematrix.errors import EdgeMatrixError, PathError, TopicError, UsageError
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.topic import Kind, check_topic, topic_for

__all__ = ["Hearer", "find_hearer"]


class Hearer(msgspec.Struct, frozen=True):
    """An agent, and the topic on which it is told something."""

    node: AgentNode
    topic: str


def find_hearer(tree: AgentTree, root: str, agent: str | None, topic: str | None) -> Hearer:
    """Find them.

    Args:
        tree: the agents of the matrix.
        root: the first level of the bus's own topics.
        agent: a path, or path.port; None for the agent with `sentences:`, else `llm:`, whom no other one asks next.
        topic: where sentences are published; None for an input of the agent, or the one topic that its triggers read.

    Raises:
        UsageError: there is none, there are several, or nothing works on what comes there.
    """
    node, port = _first(tree) if agent is None else _named(tree, agent)
    if topic is not None:
        try:
            return Hearer(node, check_topic(topic))
        except TopicError as error:
            raise UsageError(f"--topic: {error.what}") from None
    port = port or tree.implied_input(node)
    if port and hears(tree, node, port):
        return Hearer(node, topic_for(root, Kind.IN, node.path, port))
    topics = sorted(set(_topics(node)))
    if len(topics) != 1 or "." in (agent or ""):
        found = f"its triggers read {', '.join(topics)}" if topics else "its triggers read no topic that could be told"
        raise UsageError(
            f"nothing in {node.path} works on its input {port or 'in'!r}, and {found}", remedy="--topic TOPIC says where to speak"
        )
    return Hearer(node, topics[0])


def _first(tree: AgentTree) -> tuple[AgentNode, str]:
    asked = {target.node.path for node in tree if (target := escalation_of(tree, node)) is not None}
    first = [node for node in tree if node.path not in asked and not node.is_elsewhere]
    able = [node for node in first if node.spec.sentences is not None] or [node for node in first if node.spec.llm is not None]
    if len(able) != 1:
        found = ", ".join(node.path for node in able) or "none"
        raise UsageError(f"which agent is to hear the sentences? With `sentences:` or `llm:` there are {found}", remedy="--agent PATH")
    return able[0], ""


def _named(tree: AgentTree, agent: str) -> tuple[AgentNode, str]:
    path, dot, port = agent.removeprefix("/").partition(".")
    matrix = tree.matrix.matrix
    if not path.startswith(f"{matrix}/"):
        path = f"{matrix}/{path}"
    node = tree.nodes.get(path)
    try:
        if node is None or dot:
            target = tree.destination(f"/{path}{dot}{port}", AgentPath(f"{matrix}/who"))
            return target.node, target.port
    except EdgeMatrixError as error:
        raise UsageError(f"--agent: {error.what}", remedy=error.remedy if isinstance(error, PathError) else "") from None
    return node, ""


def _topics(node: AgentNode) -> Iterator[str]:
    """The topics that its groups read: those that are one topic, and not many."""
    for group in node.spec.triggers.values():
        for source in group.on.values():
            if source.topic is not None and not any(letter in source.topic for letter in "+#{"):
                yield source.topic
