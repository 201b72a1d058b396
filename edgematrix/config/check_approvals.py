"""What is asked about critical commands, and that nobody but people answers: no topic of the matrix is one on which people do."""

from __future__ import annotations

from collections.abc import Iterator

from edgematrix.agents.spec import CriticalSpec
from edgematrix.config.agent_tree import AgentNode, AgentTree
from edgematrix.config.check_people import check_people
from edgematrix.config.check_publishes import publishes_of
from edgematrix.config.finding import Finding, error, warning
from edgematrix.config.marks import answers_of
from edgematrix.config.yaml_position import Key
from edgematrix.protocol.overlap import covers

__all__ = ["check_approvals"]


def check_approvals(tree: AgentTree) -> Iterator[Finding]:
    """What is wrong with critical writes, and with what is published where people answer."""
    answers: list[tuple[list[str], AgentNode]] = []
    for node in tree:
        answers += [(text.split("/"), node) for text in answers_of(node)]
        for port, write in node.spec.device.writes.items() if node.spec.device is not None else ():
            if isinstance(write.critical, CriticalSpec):
                yield from _critical(tree, node, port, write.critical)
    for node in tree if answers else ():
        for topic, where in _published(node):
            asks = next((asking for wide, asking in answers if covers(wide, topic.split("/"))), None)
            if asks is not None:
                what = f"people answer {asks.path} on {topic!r}, and nothing of the matrix answers in their place"
                yield error(where, what, "another topic")


def _critical(tree: AgentTree, node: AgentNode, port: str, spec: CriticalSpec) -> Iterator[Finding]:
    from edgematrix.composition.approval import check_approval  # noqa: PLC0415 - few matrices have a critical write

    where: tuple[Key, ...] = (*node.where, "device", "writes", port, "critical")
    for found in check_approval(port, spec):
        yield error((*node.where, *found.place), found.what, found.remedy)
    yield from check_people(spec.notify, spec.answers, tree.matrix.root, where)
    if spec.timeout <= 0:
        yield error((*where, "timeout"), "nobody could answer within no time at all", "timeout: 5m")
    if spec.answers is not None and tree.matrix.access is None:
        what = f"whoever reaches the broker may approve commands for {node.path}.{port} there: the matrix has no access list"
        yield warning((*where, "answers"), what, "access: {…}, and the phone a client that publishes there alone")


def _published(node: AgentNode) -> Iterator[tuple[str, tuple[Key, ...]]]:
    """The foreign topics without `${…}` that an agent publishes on; others are judged when they are used. A question is no answer."""
    spec = node.spec
    for name, index, publish in publishes_of(node):
        if "${" not in publish.topic:
            yield publish.topic, (*node.where, "triggers", name, "do", index, "publish", "topic")
    for name, write in spec.device.writes.items() if spec.device is not None else ():
        yield write.topic, (*node.where, "device", "writes", name, "topic")
