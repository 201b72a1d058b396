"""What each agent of a matrix reads, sends to, calls and publishes, as its definition says: the wires of the tree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import msgspec

from edgematrix.config.agent_tree import AgentNode, AgentTree, Target
from edgematrix.config.check_publishes import publishes_of
from edgematrix.config.check_references import sends_of
from edgematrix.errors import EdgeMatrixError
from edgematrix.expression import literal_pieces
from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.path import is_below
from edgematrix.protocol.topic import Kind

__all__ = ["Foreign", "Wires"]


class Foreign(msgspec.Struct, frozen=True):
    """A filter for topics of other systems, and what the agent does with them."""

    filter: str
    reason: str


class Wires:
    """The wires of all agents of a tree. What the checks of a matrix refuse is passed over."""

    def __init__(self, tree: AgentTree) -> None:
        self._tree = tree

    def sends(self, node: AgentNode) -> Iterator[Target]:
        """The inputs elsewhere that an agent's `send`, `sends`, `tools` and sentences name."""
        for reference, _ in sends_of(node):
            with suppress(EdgeMatrixError):
                yield self._tree.destination(reference, node.path)

    def calls(self, node: AgentNode) -> Iterator[Target]:
        """The inputs that an agent's `call` actions name."""
        for trigger in node.spec.triggers.values():
            for action in trigger.do:
                if action.call is not None:
                    with suppress(EdgeMatrixError):
                        yield self._tree.destination(action.call.agent, node.path)

    def heard(self, node: AgentNode) -> Iterator[AgentNode]:
        """The agents all of whose outputs an agent hears, as it may call them."""
        if node.spec.llm is not None or node.spec.sentences is not None:
            from edgematrix.config.callees import callees_of  # noqa: PLC0415 - few matrices have either

            yield from (target.node for target in callees_of(self._tree, node).values())
        elif node.kind:
            yield from self._tree.members(node).values()
        else:
            yield from (member for member in self._tree.members(node).values() if self._reads_parent(member, node))
        for target in self.calls(node):
            yield target.node
        if node.has_code:
            for target in self.sends(node):
                yield target.node
            yield from (below for below in self._tree if is_below(below.path, node.path))

    def sources(self, node: AgentNode) -> Iterator[Target]:
        """The ports that an agent's trigger groups, its windows, and the outputs that it passes on, read."""
        for window_source in node.spec.onnx.on.values() if node.spec.onnx is not None else ():
            if window_source.from_ is not None:
                with suppress(EdgeMatrixError):
                    yield self._tree.source(window_source.from_, node.path)
        if node.spec.voice is not None:
            from edgematrix.config.voice_agent import answer_ports  # noqa: PLC0415 - few matrices have a voice

            with suppress(EdgeMatrixError):
                yield from answer_ports(self._tree, self._tree.destination(node.spec.voice.to, node.path).node)
        for trigger in node.spec.triggers.values():
            for source in trigger.on.values():
                if source.from_ is not None:
                    with suppress(EdgeMatrixError):
                        yield self._tree.source(source.from_, node.path)
        yield from self.relayed(node)

    def relayed(self, node: AgentNode) -> Iterator[Target]:
        """The outputs inside an agent that it passes on as its own, whole and piece by piece."""
        for port in node.spec.outputs.values():
            if port.from_ is not None:
                with suppress(EdgeMatrixError):
                    yield self._tree.child_output(port.from_, node)

    def published(self, node: AgentNode) -> Iterator[Foreign]:
        """The foreign topics that an agent publishes on. A level with `${…}` in it stands as `+`: no value may hold a `/`."""
        spec = node.spec
        for group, index, publish in publishes_of(node):
            with suppress(EdgeMatrixError):
                yield Foreign(_filter_of(publish.topic), f"{node.path} publishes (triggers.{group}.do.{index})")
        for name, write in spec.device.writes.items() if spec.device else ():
            yield Foreign(write.topic, f"{node.path} writes {name}")
            if write.approval is not None and write.approval.notify is not None:
                yield Foreign(write.approval.notify, f"{node.path} notifies people (writes.{name}.critical)")
        for text in spec.publishes or ():
            yield Foreign(text, f"{node.path} publishes, its code")
        if spec.voice is not None and spec.voice.answer == "hermes":
            yield Foreign("hermes/tts/say", f"{node.path} answers")
        if spec.voice is not None and spec.voice.answer == "espeak":
            yield Foreign(f"hermes/audioServer/{spec.voice.site or node.name}/playBytes/+", f"{node.path} answers")
        if spec.human is not None and spec.human.notify is not None:
            yield Foreign(spec.human.notify, f"{node.path} notifies people")

    def foreign(self, node: AgentNode) -> Iterator[Foreign]:
        """The foreign topics that an agent reads."""
        spec = node.spec
        for name, read in spec.device.reads.items() if spec.device else ():
            yield Foreign(_subscription(read.topic), f"{node.path} reads {name}")
        if spec.device is not None and spec.device.availability is not None:
            yield Foreign(_subscription(spec.device.availability.topic), f"{node.path} reads its availability")
        for name, write in spec.device.writes.items() if spec.device else ():
            if write.approval is not None and write.approval.answers is not None:
                yield Foreign(_subscription(write.approval.answers), f"{node.path} hears answers (writes.{name}.critical)")
        for group, trigger in spec.triggers.items():
            for name, source in trigger.on.items():
                if source.topic is not None:
                    yield Foreign(_subscription(source.topic), f"{node.path} reads (triggers.{group}.on.{name})")
        for name, window_source in spec.onnx.on.items() if spec.onnx is not None else ():
            if window_source.topic is not None:
                yield Foreign(_subscription(window_source.topic), f"{node.path} reads (onnx.on.{name})")
        if spec.voice is not None:
            yield Foreign(f"hermes/audioServer/{spec.voice.site or node.name}/audioFrame", f"{node.path} listens")
        if spec.human is not None and spec.human.answers is not None:
            yield Foreign(_subscription(spec.human.answers), f"{node.path} hears answers")

    def _reads_parent(self, member: AgentNode, composite: AgentNode) -> bool:
        return any(target.kind is Kind.IN and target.node is composite for target in self.sources(member))


def _subscription(text: str) -> str:
    try:
        return TopicFilter.parse(text).subscription
    except EdgeMatrixError:
        return text


def _filter_of(topic: str) -> str:
    """The filter over all that a topic with `${…}` can become."""
    marked = "".join("\0" if piece is None else piece for piece in literal_pieces(topic))
    return "/".join("+" if "\0" in level else level for level in marked.split("/"))
