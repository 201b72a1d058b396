"""What actions publish: never past the agent that a device belongs to."""

from __future__ import annotations

from collections.abc import Iterator

from edgematrix.agents.spec import PublishSpec
from edgematrix.config.agent_tree import AgentNode, AgentTree
from edgematrix.config.finding import Finding, error
from edgematrix.config.yaml_position import Key
from edgematrix.protocol.path import parent_of

__all__ = ["check_publishes", "publishes_of"]


def publishes_of(node: AgentNode) -> Iterator[tuple[str, int, PublishSpec]]:
    """Every publish of an agent: its group, its position in `do`, and itself."""
    for name, group in node.spec.triggers.items():
        for index, action in enumerate(group.do):
            if action.publish is not None:
                yield name, index, action.publish


def check_publishes(tree: AgentTree) -> Iterator[Finding]:
    """Literal topics that belong to a device's agent. A templated one is judged when it is published."""
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
