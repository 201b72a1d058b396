"""What a matrix says of where untrusted text comes from, and of where people answer (docs/spec/matrix.md, "Safety")."""

from __future__ import annotations

from collections.abc import Iterator

from edgematrix.composition.spec import ModelSpeaker
from edgematrix.config.agent_tree import AgentNode, AgentTree
from edgematrix.errors import EdgeMatrixError
from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.runtime.marks import NO_MARKS, Marks

__all__ = ["answers_of", "marks_of", "origin_named"]


def marks_of(tree: AgentTree) -> Marks:
    """The marks of a matrix, those of agents on other hosts too: what comes from there is marked here as well."""
    speakers: dict[AgentPath, str] = {}
    untrusted: dict[tuple[str, str], None] = {}
    answers: list[tuple[str, AgentPath]] = []
    patience: dict[str, int] = {}
    for node in tree:
        origin = origin_named(node)
        if origin:
            speakers[node.path] = origin
        for found in _untrusted(tree, node):
            untrusted[found] = None
        answers += [(text, node.path) for text in answers_of(node)]
        for port, write in node.spec.device.writes.items() if node.spec.device is not None else ():
            if write.approval is not None:
                patience[topic_for(tree.matrix.root, Kind.IN, node.path, port)] = int(write.approval.timeout)
    return Marks(speakers, list(untrusted), answers, patience) if speakers or untrusted or answers or patience else NO_MARKS


def origin_named(node: AgentNode) -> str:
    """The origin that stands on all that an agent says; empty where nothing of its own does."""
    spec = node.spec
    if spec.sentences is not None:
        return f"{node.path}.say"
    speaker = None if spec.chat is None else spec.chat.speaker
    speaks = spec.llm is not None or spec.voice is not None
    return node.path if speaks or speaker == "llm" or isinstance(speaker, ModelSpeaker) else ""


def answers_of(node: AgentNode) -> Iterator[str]:
    """The filters of the foreign topics on which people answer an agent's questions."""
    if node.spec.human is not None and node.spec.human.answers is not None:
        yield from _subscription(node.spec.human.answers)
    for write in node.spec.device.writes.values() if node.spec.device is not None else ():
        if write.approval is not None and write.approval.answers is not None:
            yield from _subscription(write.approval.answers)


def _untrusted(tree: AgentTree, node: AgentNode) -> Iterator[tuple[str, str]]:
    """The filters of topics that an agent's definition calls untrusted, each with its origin: the filter itself, or the port."""
    spec, root = node.spec, tree.matrix.root
    sources = [source for trigger in spec.triggers.values() for source in trigger.on.values() if source.untrusted]
    topics = [source.topic for source in sources if source.topic is not None]
    references = [source.from_ for source in sources if source.from_ is not None]
    for heard in spec.onnx.on.values() if spec.onnx is not None else ():
        if heard.untrusted:
            topics += [heard.topic] if heard.topic is not None else []
            references += [heard.from_] if heard.from_ is not None else []
    topics += [read.topic for read in spec.device.reads.values() if read.untrusted] if spec.device is not None else []
    for text in topics:
        for wanted in _subscription(text):
            yield wanted, wanted.replace(" ", "%20")
    for reference in references:
        try:
            target = tree.source(reference, node.path)
        except EdgeMatrixError:
            continue  # the checks tell it
        yield topic_for(root, target.kind, target.node.path, target.port), f"{target.node.path}.{target.port}"
    for name, port in spec.inputs.items():
        if port.untrusted:
            yield topic_for(root, Kind.IN, node.path, name), f"{node.path}.{name}"
    for name, port in spec.outputs.items():
        if port.untrusted:
            yield topic_for(root, Kind.OUT, node.path, name), f"{node.path}.{name}"


def _subscription(text: str) -> Iterator[str]:
    try:
        yield TopicFilter.parse(text).subscription
    except EdgeMatrixError:
        return  # the checks tell it
