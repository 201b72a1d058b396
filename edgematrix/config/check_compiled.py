"""What only shows when groups, actions, devices and sentences are compiled: expressions, filters, value paths, times."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

from edgematrix.agents.actions import Plan
from edgematrix.agents.check import check_actions
from edgematrix.agents.device import Device
from edgematrix.agents.spec import PortSpec
from edgematrix.config.agent_tree import AgentNode, AgentTree, Target
from edgematrix.config.finding import Finding, error
from edgematrix.config.source_fields import fields_of
from edgematrix.config.spec import TriggerSpec
from edgematrix.config.yaml_position import Key
from edgematrix.errors import EdgeMatrixError, PathError, ProtocolError, TopicError
from edgematrix.protocol.schema import compile_schema, port_schema
from edgematrix.triggers import Calendar
from edgematrix.triggers import finding as triggers
from edgematrix.triggers.check import check_group
from edgematrix.triggers.plan import condition_names

__all__ = ["check_compiled"]

_POSITION = re.compile(r"(\d+):(\d+)")
_IN_EXPRESSION = re.compile(r"(.*) \((\d+):(\d+)\)", re.DOTALL)


def check_compiled(tree: AgentTree) -> Iterator[Finding]:
    """What the parts of each agent say is wrong, and looks wrong, with their definitions."""
    place = tree.matrix.location
    calendar = Calendar(tree.matrix.timezone, *((place.lat, place.lon) if place else (None, None)))
    for node in tree:
        spec = node.spec
        for name, group in spec.triggers.items():
            yield from _group(tree, node, name, group, calendar)
        if spec.device is not None:
            yield from _compiled(partial(Device, spec.device, tree.matrix.root), (*node.where, "device"))
        if spec.sentences is not None:
            from edgematrix.agents.sentences import Sentences  # noqa: PLC0415 - 4 ms that few matrices need

            yield from _compiled(partial(Sentences.compile, spec.sentences, node.path), (*node.where, "sentences"))
        for ports, declared in (("inputs", spec.inputs), ("outputs", spec.outputs)):
            for name, port in declared.items():
                yield from _port(port, (*node.where, ports, name))


def _group(tree: AgentTree, node: AgentNode, name: str, spec: TriggerSpec, calendar: Calendar) -> Iterator[Finding]:
    where = (*node.where, "triggers", name)
    fields = {key: fields_of(source, _target(tree, source.from_, node)) for key, source in spec.on.items()}
    for found in check_group(spec, calendar, fields):
        yield _of_group(found, where)
    for action in check_actions(spec.do, durable=node.spec.durable is True):
        yield Finding(action.severity, where + action.path, action.what, action.remedy)
    for key, source in spec.on.items():
        if source.schema is not None:
            yield from _compiled(partial(compile_schema, source.schema), (*where, "on", key, "schema"))
    with suppress(TopicError):  # told by `check_group`
        names = condition_names(spec)
        yield from _compiled(partial(Plan.compile, spec.do, names, node.path, root=tree.matrix.root), where)


def _of_group(found: triggers.Finding, where: tuple[Key, ...]) -> Finding:
    """A finding about a group; one about an expression ends with its `(line:column)`."""
    match = _IN_EXPRESSION.fullmatch(found.what)
    if match is None or found.path[-1:] not in (("if",), ("where",)):
        return Finding(found.severity, where + found.path, found.what, found.remedy, at_key=not found.path)
    return Finding(found.severity, where + found.path, match[1], found.remedy, offset=_offset(match[2], match[3]))


def _port(port: PortSpec, where: tuple[Key, ...]) -> Iterator[Finding]:
    try:
        schema = port_schema(port.type, port.schema)
    except ProtocolError as problem:
        yield _refused(problem, (*where, "schema"))
        return
    refusal = None if schema is None or port.initial is None else schema.refusal(port.initial)
    if refusal is not None:
        yield error((*where, "initial"), f"the first value is not of the port's type: {refusal}")


def _compiled(make: Callable[[], object], where: tuple[Key, ...]) -> Iterator[Finding]:
    try:
        make()
    except EdgeMatrixError as problem:
        yield _refused(problem, where)


def _target(tree: AgentTree, reference: str | None, node: AgentNode) -> Target | None:
    try:
        return None if reference is None else tree.source(reference, node.path)
    except PathError:
        return None  # told by the checks of references


def _refused(problem: EdgeMatrixError, base: tuple[Key, ...]) -> Finding:
    """An error whose `where` is a path in the definition, then `line:column` in a text, or a path in a schema, there."""
    inner, _, detail = problem.where.rpartition(" ")
    position = _POSITION.fullmatch(detail)
    if position is not None:
        return Finding("error", base + _keys(inner), problem.what, problem.remedy, offset=_offset(position[1], position[2]))
    inner, _, detail = problem.where.partition(" ")
    path = base + _keys(inner)
    if isinstance(problem, TopicError) and path[-1] != "topic":
        path = (*path, "topic")
    elif isinstance(problem, PathError) and path[-1] not in ("to", "agent", "value"):
        path = (*path, "value")
    elif path[-1] == "schema":
        path += _keys(detail)
    return Finding("error", path, problem.what, problem.remedy)


def _offset(line: str, column: str) -> int | None:
    return int(column) - 1 if line == "1" else None


def _keys(inner: str) -> tuple[Key, ...]:
    return tuple(int(key) if key.isascii() and key.isdigit() else key for key in inner.split(".")) if inner else ()
