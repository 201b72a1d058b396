"""Flows, chats, switches, pools and people: what they are made of, what starts them, and what their kind says is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from importlib import util
from typing import TypeAlias

from edgematrix.agents.spec import NearSpec, SentencesSpec
from edgematrix.composition import finding as composition
from edgematrix.config.agent_tree import AgentNode, AgentTree
from edgematrix.config.check_members import check_members
from edgematrix.config.check_people import check_people
from edgematrix.config.finding import Finding, error, warning
from edgematrix.config.known_fields import fields_of_input, fields_of_output, fields_of_replies, fields_of_request
from edgematrix.config.yaml_position import Key
from edgematrix.errors import EdgeMatrixError, ExpressionError
from edgematrix.expression.names import nearest
from edgematrix.triggers.spec import SourceSpec

__all__ = ["check_composites"]

_IN_EXPRESSION = re.compile(r"(.*) \((\d+):(\d+)\)", re.DOTALL)
_VALUES = frozenset({"regular", "live", "optional"})
"""Roles whose values a run gets; the others only say whether and when it begins."""
_Members: TypeAlias = Mapping[str, AgentNode]
_TIMED = frozenset({"flow", "chat", "llm"})
"""Kinds with a deadline of their own."""


def check_composites(tree: AgentTree) -> Iterator[Finding]:
    """What is wrong with each composition; the replicas of one are looked at once."""
    known: set[tuple[Key, ...]] = set()
    for node in tree.compositions:
        if node.where in known:
            continue
        known.add(node.where)
        yield from _started(tree, node)
        yield from _put_out(tree, node)
        if node.kind in _TIMED and node.spec.deadline is not None:
            what = f"the deadline of a {node.kind} stands under `{node.kind}:`"
            yield error((*node.where, "deadline"), what, f"{node.kind}: {{deadline: …}}", at_key=True)
        if node.kind == "human":
            yield from _human(tree, node)
        elif node.spec.llm is not None or node.spec.sentences is not None:
            yield from _model(tree, node)
        elif not node.spec.agents:
            what = f"a {node.kind} lets agents below it work, and {node.path} has none"
            yield error((*node.where, node.kind), what, "define them under `agents:`, beside it", at_key=True)
        else:
            yield from (_told(node, found) for found in _of_kind(tree, node))
            yield from check_members(tree, node)


def _started(tree: AgentTree, node: AgentNode) -> Iterator[Finding]:
    """Groups of its own start its runs: each value goes to the input of its source's name, or there is one input for all.

    A clock has no value, and needs no input.
    """
    inputs = tree.ports(node).inputs
    for group_name, group in node.spec.triggers.items():
        where = (*node.where, "triggers", group_name)
        if group.do:
            what = f"a group of a {node.kind} starts a run of it, and has no `do`"
            yield error((*where, "do"), what, "make a neighbour of what is to be done besides", at_key=True)
        if len(inputs) == 1:
            continue
        lost = [name for name, source in group.on.items() if source.role in _VALUES and name not in inputs and not _is_clock(source)]
        for name in lost:
            what = f"{node.path} has no input {name!r} that would get the value of this source"
            yield error((*where, "on", name), what, _near(name, inputs, "its inputs are"), at_key=True)
        if node.kind == "flow" and not lost and inputs.isdisjoint(group.on):
            what = f"no source of this group feeds an input of {node.path}, so nothing in it would work"
            yield error((*where, "on"), what, _near("", inputs, "name sources after its inputs:"), at_key=True)


def _is_clock(source: SourceSpec) -> bool:
    return source.topic is None and source.from_ is None


def _put_out(tree: AgentTree, node: AgentNode) -> Iterator[Finding]:
    """Outputs that no chat, switch, pool or person has. Those of a flow are checked with its edges."""
    if node.kind == "flow":
        return
    own = tree.ports(node).fed
    for name, port in node.spec.outputs.items():
        where = (*node.where, "outputs", name)
        if name not in own:
            yield error(where, f"a {node.kind} puts nothing out on {name!r}", _near(name, own, "it puts out"), at_key=True)
        elif port.from_ is not None:
            what = f"what a {node.kind} puts out is its own, so there is no `from`"
            yield error((*where, "from"), what, "outputs of a flow, or of a composite of no kind, have one", at_key=True)


def _near(name: str, known: Iterable[str], otherwise: str) -> str:
    close = nearest(name, known)
    return f"did you mean {close!r}?" if close else f"{otherwise} {', '.join(sorted(known))}"


def _human(tree: AgentTree, node: AgentNode) -> Iterator[Finding]:
    from edgematrix.composition.human import check_human  # noqa: PLC0415 - few matrices ask people

    spec = node.spec.human
    assert spec is not None  # noqa: S101 - it is of this kind
    if node.spec.agents:
        what = f"{node.path} asks a person, and has no agents below it"
        yield error((*node.where, "agents"), what, "make them neighbours", at_key=True)
    yield from (_told(node, found) for found in check_human(spec, fields_of_request(tree, node)))
    yield from check_people(spec.notify, spec.answers, tree.matrix.root, (*node.where, "human"))


def _model(tree: AgentTree, node: AgentNode) -> Iterator[Finding]:
    from edgematrix.config.callees import check_escalations  # noqa: PLC0415 - few matrices have either

    if node.spec.llm is not None:
        yield from _llm(tree, node)
    if node.spec.sentences is not None and node.spec.sentences.near is not None:
        yield from _near_sentences(node, node.spec.sentences)
    yield from check_escalations(tree, node)


def _near_sentences(node: AgentNode, spec: SentencesSpec) -> Iterator[Finding]:
    from edgematrix.agents.alike import Alike  # noqa: PLC0415 - few matrices need it
    from edgematrix.agents.exemplars import exemplars_of  # noqa: PLC0415
    from edgematrix.agents.sentences import Sentences  # noqa: PLC0415

    place = (*node.where, "sentences", "near")
    with suppress(EdgeMatrixError):  # told where sentences are compiled
        sentences = Sentences.compile(spec, node.path)
        try:
            exemplars_of(sentences, Alike(spec.near.alike if spec.near is not None else {}))
        except ExpressionError as problem:
            yield error(place, problem.what, problem.remedy)
    if spec.near is not None:
        yield from _near_model(spec.near, place)


def _near_model(spec: NearSpec, place: tuple[Key, ...]) -> Iterator[Finding]:
    from edgematrix.models.near_model import is_encoder, near_lacks  # noqa: PLC0415 - few matrices need it

    if not is_encoder(spec.model):
        for key in ("tokenizer", "pooling"):
            if getattr(spec, key) is not None:
                what = f"only an encoder of texts has a `{key}`, and {spec.model} is none"
                yield error((*place, key), what, "name a model *.onnx, or leave it out", at_key=True)
    missing, remedy = near_lacks(spec.model)
    if missing:
        what = (
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed here, so this agent can run on other hosts only"
        )
        yield warning(place, what, remedy, at_key=True)


def _llm(tree: AgentTree, node: AgentNode) -> Iterator[Finding]:
    from edgematrix.composition.llm_plan import check_llm  # noqa: PLC0415 - few matrices have a language model
    from edgematrix.config.tools import check_tools  # noqa: PLC0415

    assert node.spec.llm is not None  # noqa: S101 - it is of this kind
    yield from (_told(node, found) for found in check_llm(node.spec.llm, fields_of_request(tree, node), tree.ports(node).inputs))
    yield from check_tools(tree, node)
    if node.spec.llm.provider != "llama_cpp":
        return
    from edgematrix.models.llama_model import SHIPPED  # noqa: PLC0415

    model = node.spec.llm.model
    if model not in SHIPPED and not model.endswith(".gguf"):
        remedy = _near(model, SHIPPED, "expected a path *.gguf, or one of")
        yield error((*node.where, "llm", "model"), f"there is no model {model[:80]!r}", remedy)
    if util.find_spec("llama_cpp") is None:
        what = "llama.cpp is not installed here, so this model can run on other hosts only"
        yield warning((*node.where, "llm"), what, "pip install 'edgematrix[llm]'", at_key=True)


def _of_kind(tree: AgentTree, node: AgentNode) -> Iterator[composition.Finding]:
    spec, members = node.spec, node.spec.agents
    if spec.flow is not None:
        from edgematrix.composition.flow import check_flow  # noqa: PLC0415 - each kind is imported where one is

        outputs = {name: port.from_ for name, port in spec.outputs.items()}
        nodes = tree.members(node)
        fields_of = partial(_fields_of_end, tree, node, nodes)
        yield from check_flow(spec.flow, members, spec.inputs, outputs, fields_of, input_of=partial(_implied_input, tree, nodes))
    if spec.chat is not None:
        from edgematrix.composition.chat import check_chat  # noqa: PLC0415

        yield from check_chat(spec.chat, members, fields_of_replies(tree, node))
    if spec.switch is not None:
        from edgematrix.composition.switch import check_switch  # noqa: PLC0415

        yield from check_switch(spec.switch, members, fields_of_request(tree, node))
    if spec.pool is not None:
        from edgematrix.composition.pool import check_pool  # noqa: PLC0415

        yield from check_pool(spec.pool, members, fields_of_request(tree, node))


def _fields_of_end(tree: AgentTree, flow: AgentNode, members: _Members, member: str, port: str) -> tuple[str, ...] | None:
    """The fields of what an edge of a flow carries; without a member it comes from an input of the flow."""
    if not member:
        return fields_of_input(tree, flow, port)
    node = members.get(member)
    return None if node is None else fields_of_output(tree, node, port)


def _implied_input(tree: AgentTree, members: _Members, member: str) -> str:
    """The input that the name of a member alone means; empty where it means none, which is told with the ports."""
    node = members.get(member)
    return "" if node is None else tree.implied_input(node)


def _told(node: AgentNode, found: composition.Finding) -> Finding:
    """A finding with its place in the document; one about an expression ends with its `(line:column)`."""
    where = node.where + found.place
    match = _IN_EXPRESSION.fullmatch(found.what)
    if match is None:
        at_key = len(found.place) == 1 or found.place[0] == "agents"
        return Finding(found.severity, where, found.what, found.remedy, at_key=at_key)
    return Finding(found.severity, where, match[1], found.remedy, offset=int(match[3]) - 1 if match[2] == "1" else None)
