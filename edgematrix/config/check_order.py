"""Groups that judge one value of a message by another one of the same message, which comes after it.

A device puts out what it reads in one message in written order (docs/spec/triggers.md, "Events and levels"), and each value is
judged as it comes.
"""

from __future__ import annotations

from collections.abc import Iterator

from edgematrix.config.agent_tree import AgentNode, AgentTree
from edgematrix.config.finding import Finding, warning
from edgematrix.errors import PathError
from edgematrix.protocol.path import AgentPath
from edgematrix.triggers.spec import SourceSpec

__all__ = ["check_order"]

_READ_WHEN_JUDGED = frozenset({"condition", "live", "optional"})
"""Roles that make no group be judged: they are what they were when another source does."""


def check_order(tree: AgentTree) -> Iterator[Finding]:
    """Sources that are looked at before their value in the message is there."""
    places = {
        (node.path, port): (read.topic, (order, place))
        for order, node in enumerate(tree)
        if node.spec.device is not None
        for place, (port, read) in enumerate(node.spec.device.reads.items())
    }
    if not places:
        return
    for node in tree:
        for name, group in node.spec.triggers.items():
            yield from _group(tree, node, name, group.on, places)


_Place = tuple[str, tuple[int, int]]
"""The topic that a port of a device is read from, and which of all ports it is, as written."""


def _group(
    tree: AgentTree, node: AgentNode, name: str, on: dict[str, SourceSpec], places: dict[tuple[AgentPath, str], _Place]
) -> Iterator[Finding]:
    found = {key: place for key, source in on.items() if (place := _place(tree, node, source, places)) is not None}
    judging = {key: place for key, place in found.items() if on[key].role == "regular" and not (on[key].for_ or on[key].absent)}
    for key, (topic, order) in found.items():
        if on[key].role not in _READ_WHEN_JUDGED:
            continue
        before = next((other for other, (filter_, first) in judging.items() if filter_ == topic and first < order), None)
        if before is not None:
            what = (
                f"`{key}` comes in the same message as `{before}`, but after it: when `{before}` is judged, `{key}` is what it was before"
            )
            remedy = f"write what `{key}` reads above what `{before}` reads, where the device has them"
            yield warning((*node.where, "triggers", name, "on", key), what, remedy, at_key=True)


def _place(tree: AgentTree, node: AgentNode, source: SourceSpec, places: dict[tuple[AgentPath, str], _Place]) -> _Place | None:
    if source.from_ is None:
        return None
    try:
        target = tree.source(source.from_, node.path)
    except PathError:
        return None  # told by the checks of references
    return places.get((target.node.path, target.port))
