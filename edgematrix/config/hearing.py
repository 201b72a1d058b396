"""What a matrix hears from outside: what there is to record for it."""

from __future__ import annotations

from collections.abc import Iterator

from edgematrix.config.agent_tree import AgentTree
from edgematrix.config.spec import MatrixSpec
from edgematrix.protocol.filter import TopicFilter

__all__ = ["foreign_filters"]


def foreign_filters(spec: MatrixSpec) -> list[str]:
    """The filters that its sources and devices listen to, as a broker is asked for them; none below the matrix's root.

    Raises:
        TopicError: a filter breaks the grammar.
    """
    subscriptions = dict.fromkeys(TopicFilter.parse(text).subscription for text in _written(spec))
    return [name for name in subscriptions if name != spec.root and not name.startswith(f"{spec.root}/")]


def _written(spec: MatrixSpec) -> Iterator[str]:
    for node in AgentTree.of(spec):
        for trigger in node.spec.triggers.values():
            yield from (source.topic for source in trigger.on.values() if source.topic is not None)
        if node.spec.onnx is not None:
            yield from (source.topic for source in node.spec.onnx.on.values() if source.topic is not None)
        if node.spec.voice is not None:
            yield f"hermes/audioServer/{node.spec.voice.site or node.name}/audioFrame"
        device = node.spec.device
        if device is not None:
            yield from (read.topic for read in device.reads.values())
            approvals = [write.approval for write in device.writes.values()]
            yield from (approval.answers for approval in approvals if approval is not None and approval.answers is not None)
            if device.availability is not None:
                yield device.availability.topic
        if node.spec.human is not None and node.spec.human.answers is not None:
            yield node.spec.human.answers
