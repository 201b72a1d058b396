"""An agent with `onnx:` as its definition and the model's card together say: what feeds the model, and what comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from pathlib import Path

import msgspec

from edgematrix.agents.onnx_spec import ONNX_OUTPUTS, OnnxSource, OnnxSpec
from edgematrix.agents.window import WindowPlan
from edgematrix.agents.window_reading import WindowReading
from edgematrix.config.agent_tree import AgentNode, AgentTree, Target
from edgematrix.config.finding import Finding, error, warning
from edgematrix.config.model_card import ModelCard, find_card
from edgematrix.config.yaml_position import Key
from edgematrix.errors import ConfigError, EdgeMatrixError, ModelError
from edgematrix.models.card import CardInput
from edgematrix.models.onnx_model import need_onnxruntime
from edgematrix.models.unit import conversion
from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.topic import Kind
from edgematrix.protocol.value import compile_value
from edgematrix.runtime.scorer import ModelWanted
from edgematrix.runtime.window_runner import WindowSource

__all__ = ["Heard", "OnnxAgent", "check_onnx", "onnx_agent"]

_MEGABYTE = 1 << 20


class Heard(msgspec.Struct, frozen=True):
    """A port or a filter that feeds an input, and what is read of it."""

    origin: Target | TopicFilter
    spec: OnnxSource
    source: WindowSource


class OnnxAgent(msgspec.Struct, frozen=True):
    """All that it takes to build one. `scales` bring a value in the card's unit to what the model is given."""

    wanted: ModelWanted
    plan: WindowPlan
    heard: tuple[Heard, ...]
    classes: tuple[str, ...]
    ports: tuple[str, ...]
    timeout_us: int
    reading: WindowReading


def onnx_agent(tree: AgentTree, node: AgentNode, folder: Path) -> OnnxAgent:
    """Put together what an agent with a model is.

    Raises:
        ModelError: the model is missing, is another than its card says, or has other inputs than the agent feeds.
        ConfigError: the card is wrong.
        PathError, TopicError: a source leads nowhere.
    """
    spec = node.spec.onnx
    assert spec is not None  # noqa: S101 - whoever asks knows
    card = find_card(spec.model, folder)
    memory_bytes_max = None if spec.memory_mb is None else spec.memory_mb * _MEGABYTE
    label = card.spec.outputs.label
    classes = tuple(label.classes) if label is not None else ()
    wanted = ModelWanted(card.spec.model, card.file(spec.precision), card.signature(spec.threads), memory_bytes_max, classes)
    plan = card.plan(spec.step, spec.wait)
    scales = tuple((given.scale, given.offset) for given in card.spec.inputs)
    heard: list[Heard] = []
    for name, source in spec.on.items():
        place = plan.inputs.index(name) if name in plan.inputs else -1
        if place < 0:
            raise _unknown_input(name, card)
        heard.append(_heard(tree, node, source, place, card.spec.inputs[place]))
    missing = [name for name in plan.inputs if name not in spec.on] if spec.on else []
    if missing:
        raise ModelError(_lacks(card, missing))
    return OnnxAgent(
        wanted,
        plan,
        tuple(heard),
        classes,
        card.spec.outputs.ports,
        spec.timeout,
        WindowReading(plan.inputs, plan.rows, scales),
    )


def _heard(tree: AgentTree, node: AgentNode, source: OnnxSource, place: int, given: CardInput) -> Heard:
    target = None if source.from_ is None else tree.source(source.from_, node.path)
    origin: Target | TopicFilter = TopicFilter.parse(source.topic or "") if target is None else target
    factor, offset = _scale(source.unit or _unit_of(target), given)
    time = None if source.time is None else compile_value(source.time)
    return Heard(origin, source, WindowSource(place, compile_value(source.value), factor, offset, time))


def _scale(unit: str | None, given: CardInput) -> tuple[float, float]:
    """Factor and offset from a value of a source to what the model is given."""
    factor, offset = (1.0, 0.0) if unit is None or given.unit is None else conversion(unit, given.unit)
    return factor * given.scale, offset * given.scale + given.offset


def _unit_of(target: Target | None) -> str | None:
    """What a device says that it measures in."""
    device = None if target is None else target.node.spec.device
    read = None if device is None or target is None or target.kind is not Kind.OUT else device.reads.get(target.port)
    return None if read is None else read.unit


def _unknown_input(name: str, card: ModelCard) -> ModelError:
    known = [given.name for given in card.spec.inputs]
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"its inputs are {', '.join(known)}"
    return ModelError(f"the model {card.spec.model} has no input {name!r}", remedy=hint)


def _lacks(card: ModelCard, missing: list[str]) -> str:
    return f"nothing feeds {', '.join(missing)} of the model {card.spec.model}"


# Checks


def check_onnx(tree: AgentTree, folder: Path | None) -> Iterator[Finding]:
    """What is wrong with the agents that are models. Cards are read where there is a folder to look for them in."""
    cards: dict[str, ModelCard] = {}
    seen: set[tuple[Key, ...]] = set()
    for node in tree:
        spec = node.spec.onnx
        if spec is None or node.where in seen:
            continue
        seen.add(node.where)
        where = (*node.where, "onnx")
        yield from _own(node, spec, where)
        if folder is None:
            continue
        try:
            card = find_card(spec.model, folder)
        except ConfigError as problem:
            yield error((*where, "model"), f"the card is wrong: {problem.issues[0]}", "edgematrix models list")
        except ModelError as problem:
            if node.is_board or node.spec.host is not None or node.spec.needs is not None:
                yield warning((*where, "model"), f"{problem.what}; its host has to have it", problem.remedy)
            else:
                yield error((*where, "model"), problem.what, problem.remedy)
        else:
            cards[node.path] = card
            yield from _with_card(tree, node, spec, card, where)
    if cards:
        yield from _readers(tree, cards)


def _own(node: AgentNode, spec: OnnxSpec, where: tuple[Key, ...]) -> Iterator[Finding]:
    for name, source in spec.on.items():
        if (source.topic is None) == (source.from_ is None):
            yield error((*where, "on", name), "a source has a `topic`, or a `from`, one of them", at_key=True)
    if spec.on and node.spec.triggers:
        yield error((*node.where, "triggers"), "with `on:` windows begin the runs of the model, so it has no triggers", at_key=True)
    if spec.on and node.spec.inputs:
        yield error((*node.where, "inputs"), "with `on:` the model has no inputs: its sources feed it", at_key=True)


def _with_card(tree: AgentTree, node: AgentNode, spec: OnnxSpec, card: ModelCard, where: tuple[Key, ...]) -> Iterator[Finding]:
    known = {given.name: given for given in card.spec.inputs}
    for name, source in spec.on.items():
        if name not in known:
            problem = _unknown_input(name, card)
            yield error((*where, "on", name), problem.what, problem.remedy, at_key=True)
            continue
        yield from _source(tree, node, source, known[name], (*where, "on", name))
    missing = [name for name in known if name not in spec.on] if spec.on else []
    if missing:
        yield error((*where, "on"), _lacks(card, missing), f"{missing[0]}: {{from: …}}", at_key=True)
    looks: tuple[tuple[str, Callable[[], object]], ...] = (
        ("step", lambda: card.plan(spec.step)),
        ("wait", lambda: card.plan(None, spec.wait)),
        ("precision", lambda: card.file(spec.precision)),
    )
    for key, look in looks:
        try:
            look()
        except ModelError as problem:
            yield error((*where, key), problem.what, problem.remedy)
    try:
        need_onnxruntime(card.spec.model)
    except ModelError as problem:
        yield warning((*where, "model"), problem.what, problem.remedy)


def _source(tree: AgentTree, node: AgentNode, source: OnnxSource, given: CardInput, where: tuple[Key, ...]) -> Iterator[Finding]:
    try:
        heard = None if source.topic is None and source.from_ is None else _heard(tree, node, source, 0, given)
    except ModelError as problem:
        yield error((*where, "unit") if source.unit is not None else where, problem.what, problem.remedy, at_key=source.unit is None)
        return
    except EdgeMatrixError as problem:
        if source.topic is not None:
            yield error((*where, "topic"), problem.what, problem.remedy)
        return  # what `from` leads to is told by the checks of references
    target = heard.origin if heard is not None and isinstance(heard.origin, Target) else None
    if given.unit is not None and source.unit is None and _unit_of(target) is None:
        yield warning(where, f"nobody says in which unit this is; the model takes it for {given.unit}", f"unit: {given.unit}", at_key=True)


def _readers(tree: AgentTree, cards: dict[str, ModelCard]) -> Iterator[Finding]:
    """Sources that read an output which the model does not feed."""
    for node in tree:
        for group_name, group in node.spec.triggers.items():
            for name, source in group.on.items():
                if source.from_ is None:
                    continue
                try:
                    target = tree.source(source.from_, node.path)
                except EdgeMatrixError:
                    continue  # told by the checks of references
                card = cards.get(target.node.path)
                if card is not None and target.port in ONNX_OUTPUTS and target.port not in card.spec.outputs.ports:
                    what = f"the model {card.spec.model} gives no {target.port}"
                    where = (*node.where, "triggers", group_name, "on", name, "from")
                    yield error(where, what, f"it gives {', '.join(card.spec.outputs.ports)}")
