"""The tools of a language model: input ports of other agents that it may call, typed by what these take."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from edgematrix.agents.spec import WriteSpec
from edgematrix.config.agent_tree import AgentNode, AgentTree, Target
from edgematrix.config.check_members import hears
from edgematrix.config.finding import Finding, error
from edgematrix.config.port_types import input_type
from edgematrix.errors import EdgeMatrixError, PathError

__all__ = ["check_tools", "schema_of_tool", "tools_of"]

_NAME_CHARACTERS_MAX: Final = 64
"""Of the name of a function, with servers that speak as OpenAI's."""
_OTHERWISE: Final = re.compile(r"[^A-Za-z0-9_-]")


def tools_of(tree: AgentTree, node: AgentNode) -> dict[str, Target]:
    """The tools of an agent by the names by which its model calls them: `lamp_set`, with more of the path where that is not enough.

    References that lead nowhere are passed over; the checks of references tell them.
    """
    targets: dict[tuple[str, str], Target] = {}
    for reference in node.spec.tools:
        try:
            target = tree.destination(reference, node.path)
        except EdgeMatrixError:
            continue
        targets.setdefault((target.node.path, target.port), target)
    found: dict[str, Target] = {}
    for (path, port), target in targets.items():
        segments = path.split("/")
        length = 1
        while (name := _name(segments[-length:], port)) in found and length < len(segments):
            length += 1
        number = 2
        while name in found:  # of paths that differ in what is cut off alone
            name = f"{name[: _NAME_CHARACTERS_MAX - 4]}_{number}"
            number += 1
        found[name] = target
    return found


def schema_of_tool(tree: AgentTree, target: Target) -> dict[str, Any] | None:
    """What a tool takes, with the ranges of a device; None for any value."""
    found = input_type(tree, target.node, target.port)
    schema = found if isinstance(found, Mapping) else None
    write = target.node.spec.device.writes.get(target.port) if target.node.spec.device else None
    return _within(schema, write) if write is not None and write.range else (None if schema is None else dict(schema))


def check_tools(tree: AgentTree, node: AgentNode) -> Iterator[Finding]:
    """Tools that are named twice, or that nothing works on."""
    seen: set[tuple[str, str]] = set()
    for index, reference in enumerate(node.spec.tools):
        place = (*node.where, "tools", index)
        try:
            target = tree.destination(reference, node.path)
        except PathError:
            continue  # told by the checks of references
        if (target.node.path, target.port) in seen:
            yield error(place, f"the tool {reference!r} is named twice")
        seen.add((target.node.path, target.port))
        if target.node is node:
            yield error(place, f"{node.path} is a tool of its own, and would wait for itself")
        elif not hears(tree, target.node, target.port):
            yield error(place, f"nothing in {target.node.path} reads its input {target.port!r}, so a call to it comes to nothing")


def _within(schema: Mapping[str, Any] | None, write: WriteSpec) -> dict[str, Any]:
    """The type of a device's command, with its ranges: of fields, or of the whole under the name `value`."""
    ranges = {name: {"minimum": least, "maximum": most} for name, (least, most) in (write.range or {}).items()}
    whole = ranges.pop("value", None) if schema is None or schema.get("type") != "object" else None
    if whole is not None and not ranges:
        return {"type": "number", **(schema or {}), **whole}
    found = dict(schema or {"type": "object"})
    properties = dict(found.get("properties") or {})
    for name, bounds in ranges.items():
        known = properties.get(name)
        properties[name] = {**(known if isinstance(known, Mapping) else {"type": "number"}), **bounds}
    return {**found, "properties": properties}


def _name(segments: list[str], port: str) -> str:
    return _OTHERWISE.sub("_", "_".join([*segments, port]))[-_NAME_CHARACTERS_MAX:]
