"""Members of a composition that are called: each has the ports that are used, and something in it hears a call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TypeAlias

from edgematrix.agents.voice_spec import VOICE_INPUTS
from edgematrix.composition.spec import FlowSpec
from edgematrix.config.agent_tree import DEFAULT_OUTPUT, AgentNode, AgentTree
from edgematrix.config.finding import Finding, error, warning
from edgematrix.config.spec import AgentSpec
from edgematrix.config.yaml_position import Key
from edgematrix.errors import PathError
from edgematrix.protocol.topic import Kind

__all__ = ["check_members", "hears"]

_Use: TypeAlias = tuple[str, tuple[Key, ...], tuple[str, ...], str]
"""A member, where in its composition it is named, and its inputs and output that are used there: an empty input is its default
one, an empty output none."""


def check_members(tree: AgentTree, node: AgentNode) -> Iterator[Finding]:
    """Members without a port that their composition has to use, or deaf on it. Names of no member are told by the checks of its kind."""
    members = tree.members(node)
    yield from _waited_for(node, members)
    deaf: set[tuple[object, str]] = set()
    for name, place, inputs, output in _uses(node.spec, members):
        member = members.get(name)
        if member is None:
            continue
        at_key = place[0] == "agents"
        try:
            asked = [tree.input(member, port).port for port in inputs]
            if output:
                tree.output(member, output)
        except PathError as problem:
            yield error(node.where + place, problem.what, problem.remedy, at_key=at_key)
            continue
        for port in asked:
            if (member.where, port) not in deaf and not hears(tree, member, port):
                deaf.add((member.where, port))
                what = f"nothing in {member.path} reads its input {port!r}, so a call to it comes to nothing"
                yield error(node.where + place, what, _remedy(tree, member, port), at_key=at_key)


def _waited_for(node: AgentNode, members: Mapping[str, AgentNode]) -> Iterator[Finding]:
    """Who speaks for itself may never answer: nobody tells that its work has come to an end."""
    spec = node.spec
    bounded = (spec.flow is not None and spec.flow.deadline is not None) or (spec.chat is not None and spec.chat.deadline is not None)
    for name, member in members.items():
        if member.is_board and member.spec.deadline is None and not bounded:
            what = f"{member.path} runs elsewhere and has no deadline: a step that it never answers is waited for until its host goes"
            remedy = f"give {name} a deadline: 30s, or the {node.kind} one" if spec.flow or spec.chat else f"give {name} a deadline: 30s"
            yield warning(member.where, what, remedy, at_key=True)


def _uses(spec: AgentSpec, members: Iterable[str]) -> Iterator[_Use]:
    if spec.flow is not None:
        yield from _joined(spec.flow)
    asked = tuple(spec.inputs) if len(spec.inputs) > 1 else ("",)
    if spec.chat is not None:
        for number, name in enumerate(spec.chat.members):
            yield name, ("chat", "members", number), ("",), DEFAULT_OUTPUT
    if spec.switch is not None:
        for number, case in enumerate(spec.switch.cases):
            yield case.to, ("switch", "cases", number, "to"), asked, DEFAULT_OUTPUT
        if spec.switch.default is not None:
            yield spec.switch.default, ("switch", "default"), asked, DEFAULT_OUTPUT
    if spec.pool is not None:
        for name in members:
            yield name, ("agents", *spec.agents), asked, DEFAULT_OUTPUT


def _joined(flow: FlowSpec) -> Iterator[_Use]:
    for number, edge in enumerate(flow.edges):
        last = len(edge.stations) - 1
        for position, station in enumerate(edge.stations):
            for name, _, port in (end.partition(".") for end in station):
                inputs = (port,) if position > 0 else ()
                yield name, ("flow", "edges", number), inputs, (port or DEFAULT_OUTPUT) if position < last else ""


def hears(tree: AgentTree, member: AgentNode, port: str) -> bool:
    """Whether something works on what comes on an input of an agent."""
    spec = member.spec
    if member.is_board or (spec.voice is not None and port in VOICE_INPUTS) or (spec.device is not None and port in spec.device.writes):
        return True
    models = spec.onnx is not None and not spec.onnx.on
    works_on_inputs = not spec.triggers and (spec.python is not None or models or bool(member.kind))
    return works_on_inputs or port in _read(tree, member)


def _read(tree: AgentTree, member: AgentNode) -> set[str]:
    """The inputs of a member that its groups read, or those of agents right below it."""
    found: set[str] = set()
    for reader in (member, *tree.members(member).values()):
        for group in reader.spec.triggers.values():
            for source in group.on.values():
                with suppress(PathError):  # told by the checks of references
                    target = None if source.from_ is None else tree.source(source.from_, reader.path)
                    if target is not None and target.kind is Kind.IN and target.node is member:
                        found.add(target.port)
    return found


def _remedy(tree: AgentTree, member: AgentNode, port: str) -> str:
    read = sorted(_read(tree, member))
    if read:
        return f"it reads {', '.join(read)}: name that, or read {port}"
    if member.spec.triggers or not member.spec.agents:
        return f"a source of one of its groups: {{from: self.{port}}}"
    return f"a source of a group of an agent in it: {{from: parent.{port}}}"
