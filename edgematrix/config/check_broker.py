"""What the chosen broker cannot carry, where the matrix names the broker that is to be started."""

from __future__ import annotations

from collections.abc import Iterator

from edgematrix.agents.spec import DeviceSpec
from edgematrix.config.agent_tree import AgentNode, AgentTree
from edgematrix.config.check_publishes import publishes_of
from edgematrix.config.finding import Finding, error
from edgematrix.config.spec import EMBEDDED_BROKERS
from edgematrix.config.yaml_position import Key

__all__ = ["check_broker"]


def check_broker(tree: AgentTree) -> Iterator[Finding]:
    """Topics with a character that this kind of broker refuses. What `embedded` finds installed is not known here."""
    kind = tree.matrix.broker
    if kind == "embedded" or kind not in EMBEDDED_BROKERS:
        return
    from edgematrix.runtime.capabilities import load_capabilities  # noqa: PLC0415 - few matrices name a broker to start

    refused = load_capabilities(kind).topic_characters_refused
    for node in tree:
        for topic, where in _topics_of(node):
            found = next((character for character in refused if character in topic), None)
            if found is not None:
                yield error(where, f"the topic {topic!r} holds {found!r}, which the broker {kind} does not carry", "broker: mosquitto does")


def _written(node: AgentNode, device: DeviceSpec) -> Iterator[tuple[str, tuple[Key, ...]]]:
    for name, write in device.writes.items():
        yield write.topic, (*node.where, "device", "writes", name, "topic")
        asked = write.approval
        for key, topic in (("notify", asked.notify), ("answers", asked.answers)) if asked is not None else ():
            if topic is not None:
                yield topic, (*node.where, "device", "writes", name, "critical", key)


def _topics_of(node: AgentNode) -> Iterator[tuple[str, tuple[Key, ...]]]:
    spec = node.spec
    for name, group in spec.triggers.items():
        for source_name, source in group.on.items():
            if source.topic is not None:
                yield source.topic, (*node.where, "triggers", name, "on", source_name, "topic")
    for name, index, publish in publishes_of(node):
        if "${" not in publish.topic:
            yield publish.topic, (*node.where, "triggers", name, "do", index, "publish", "topic")
    if spec.device is not None:
        for name, read in spec.device.reads.items():
            yield read.topic, (*node.where, "device", "reads", name, "topic")
        yield from _written(node, spec.device)
        if spec.device.availability is not None:
            yield spec.device.availability.topic, (*node.where, "device", "availability", "topic")
    if spec.human is not None:
        for key, topic in (("notify", spec.human.notify), ("answers", spec.human.answers)):
            if topic is not None:
                yield topic, (*node.where, "human", key)
