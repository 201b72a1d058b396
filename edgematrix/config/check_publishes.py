"""What actions and code publish: never past the agent that a device belongs to, and where the definition says."""

from __future__ import annotations

from collections.abc import Iterator

from edgematrix.agents.spec import PublishSpec
from edgematrix.config.agent_tree import AgentNode, AgentTree
from edgematrix.config.finding import Finding, error, warning
from edgematrix.config.yaml_position import Key
from edgematrix.errors import TopicError
from edgematrix.protocol.overlap import check_subscription, overlaps
from edgematrix.protocol.path import parent_of
from edgematrix.protocol.topic import Kind

__all__ = ["check_publishes", "publishes_of"]


def publishes_of(node: AgentNode) -> Iterator[tuple[str, int, PublishSpec]]:
    """Every publish of an agent: its group, its position in `do`, and itself."""
    for name, group in node.spec.triggers.items():
        for index, action in enumerate(group.do):
            if action.publish is not None:
                yield name, index, action.publish


def check_publishes(tree: AgentTree) -> Iterator[Finding]:
    """Literal topics that belong to a device's agent, where a templated one is judged when it is published; and what `publishes` says."""
    for node in tree:
        yield from _declared(tree, node)
    writes: dict[str, tuple[AgentNode, str]] = {}
    for node in tree:
        if node.spec.device:
            for name, write in node.spec.device.writes.items():
                writes.setdefault(write.topic, (node, name))
    for node in tree:
        for name, index, publish in publishes_of(node):
            where: tuple[Key, ...] = (*node.where, "triggers", name, "do", index, "publish", "topic")
            if publish.topic in writes:
                owner, port = writes[publish.topic]
                near = parent_of(owner.path) == parent_of(node.path)
                to = owner.path.rpartition("/")[2] if near else f"/{owner.path}"
                yield error(where, f"{publish.topic!r} belongs to the device {owner.path}", f"send: {{to: {to}.{port}, payload: …}}")


def _declared(tree: AgentTree, node: AgentNode) -> Iterator[Finding]:
    """What is wrong with an agent's `publishes`, or with its absence where there is an access list."""
    declared = node.spec.publishes
    if declared is None:
        if tree.matrix.access is not None and node.spec.python is not None:
            remedy = "publishes: […], or [] if it publishes on none"
            yield warning((*node.where, "python"), "the access list grants its code no topics of other systems", remedy)
        return
    if node.spec.python is None:
        yield warning((*node.where, "publishes"), "it has no code that could publish: actions name their topics where they stand")
    for index, text in enumerate(declared):
        try:
            levels = check_subscription(text).split("/")
        except TopicError as refused:
            yield error((*node.where, "publishes", index), str(refused), "write a topic, with + for any level and # for all that follow")
            continue
        if any(overlaps(levels, [*tree.matrix.root.split("/"), kind, "#"]) for kind in Kind):
            yield error((*node.where, "publishes", index), f"{text!r} reaches topics below {tree.matrix.root}/", "name its first level")
