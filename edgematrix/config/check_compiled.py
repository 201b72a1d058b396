"""What only shows when groups, actions, devices and sentences are compiled: expressions, filters, value paths, times."""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgematrix.agents.actions import Plan
from edgematrix.agents.check import check_actions
from edgematrix.agents.device import Device
from edgematrix.agents.sentences import Sentences
from edgematrix.config.agent_tree import AgentNode, AgentTree, Target
from edgematrix.config.finding import Finding, error
from edgematrix.config.source_fields import fields_of
from edgematrix.config.spec import TriggerSpec
from edgematrix.config.yaml_position import Key
from edgematrix.errors import EdgeMatrixError, PathError, TopicError
from edgematrix.triggers import Calendar, Group

__all__ = ["check_compiled"]

_POSITION = re.compile(r"(\d+):(\d+)")
_OF_SOURCE = re.compile(r"source `(.+?)`: (.*)", re.DOTALL)


def check_compiled(tree: AgentTree) -> Iterator[Finding]:
    """What the builders of an agent's parts refuse, each at its place."""
    place = tree.matrix.location
    calendar = Calendar(tree.matrix.timezone, *((place.lat, place.lon) if place else (None, None)))
    for node in tree:
        for name, group in node.spec.triggers.items():
            yield from _group(tree, node, name, group, calendar)
        if node.spec.device is not None:
            try:
                Device(node.spec.device, tree.matrix.root)
            except EdgeMatrixError as problem:
                yield _refused(problem, (*node.where, "device"))
        if node.spec.sentences is not None:
            try:
                Sentences.compile(node.spec.sentences, node.path)
            except EdgeMatrixError as problem:
                yield _refused(problem, (*node.where, "sentences"))


def _group(tree: AgentTree, node: AgentNode, name: str, spec: TriggerSpec, calendar: Calendar) -> Iterator[Finding]:
    where = (*node.where, "triggers", name)
    for found in check_actions(spec.do, durable=node.spec.durable is True):
        yield Finding(found.severity, where + found.path, found.what, found.remedy)
    fields = {key: fields_of(source, _target(tree, source.from_, node)) for key, source in spec.on.items()}
    try:
        group = Group(spec, path=node.path, name=name, calendar=calendar, fields=fields)
        Plan.compile(spec.do, group.names, node.path, root=tree.matrix.root)
    except EdgeMatrixError as problem:
        yield _refused(problem, where, spec)
    except ValueError as problem:
        yield _of_source(str(problem), where)


def _target(tree: AgentTree, reference: str | None, node: AgentNode) -> Target | None:
    try:
        return None if reference is None else tree.source(reference, node.path)
    except PathError:
        return None  # told by the checks of references


def _refused(problem: EdgeMatrixError, base: tuple[Key, ...], spec: TriggerSpec | None = None) -> Finding:
    """An error whose `where` is a path in the definition, and `line:column` in a text there."""
    inner, _, position = problem.where.rpartition(" ")
    match = _POSITION.fullmatch(position)
    if match is None:
        inner, position = problem.where, ""
    path = base + _keys(inner, spec)
    if isinstance(problem, TopicError) and path[-1] != "topic":
        path = (*path, "topic")
    offset = int(match[2]) - 1 if match is not None and match[1] == "1" else 0
    return Finding("error", path, problem.what, problem.remedy, offset=offset)


def _keys(inner: str, spec: TriggerSpec | None) -> tuple[Key, ...]:
    """A dotted path as keys; the name of a source may hold dots itself."""
    if not inner:
        return ()
    if spec is not None and inner.startswith("on."):
        for name in spec.on:
            if inner == f"on.{name}" or inner.startswith(f"on.{name}."):
                return ("on", name, *_keys(inner[len(name) + 4 :], None))
    return tuple(int(key) if key.isascii() and key.isdigit() else key for key in inner.split("."))


def _of_source(text: str, where: tuple[Key, ...]) -> Finding:
    match = _OF_SOURCE.fullmatch(text)
    if match is None:
        return error(where, text, at_key=True)
    what, _, remedy = match[2].partition("; ")
    return error((*where, "on", match[1]), what, remedy)
