"""What has to be built, and what has to go, to get from one definition of a running matrix to another."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import fields

import msgspec

from edgematrix.config.agent_tree import COMPOSITIONS, DEFAULT_INPUT, DEFAULT_OUTPUT, AgentNode, AgentTree
from edgematrix.config.spec import AgentSpec
from edgematrix.protocol.path import AgentPath, is_below, resolve

__all__ = ["Difference"]

_OWN = tuple(field.name for field in fields(AgentSpec) if field.name not in ("agents", *COMPOSITIONS))
"""What makes an agent what it is, besides the plan of its runs where it is a composite."""
_INHERITED = ("defaults", "delivery", "durable")
"""What the agents below one take over from it."""


class Difference(msgspec.Struct, frozen=True):
    """What differs between two trees.

    `gone` are the agents that are not there any more, run elsewhere now, or are built anew; `built` those that are new, came here,
    or are built anew, in written order; `recomposed` the composites that go on, with another plan or other members; `attending` all
    others that go on, and hear or call somebody who has come or gone. `moved` are those that came here from elsewhere, or went
    there. All others stay as they are.
    """

    gone: frozenset[AgentPath]
    built: tuple[AgentNode, ...]
    recomposed: tuple[AgentNode, ...]
    attending: tuple[AgentNode, ...]
    moved: frozenset[AgentPath] = frozenset()

    @classmethod
    def between(cls, old: AgentTree, new: AgentTree) -> Difference:
        """What differs between a tree and the one that takes its place."""
        anew = _changed(old, new)
        if anew:
            anew |= {node.path for node in new if node.path in old.nodes and node.path not in anew and _refers(node, anew)}
        moved = {node.path for node in new if (known := old.nodes.get(node.path)) is not None and known.is_elsewhere != node.is_elsewhere}
        gone = frozenset(anew | moved) | (old.nodes.keys() - new.nodes.keys())
        built = tuple(node for node in new if node.path in anew or node.path in moved or node.path not in old.nodes)
        touched = gone | {node.path for node in built}
        stays = [node for node in new if not node.is_elsewhere and node.path in old.nodes and node.path not in gone]
        afar = {path for path in touched if any(path in tree.nodes and tree.nodes[path].is_elsewhere for tree in (old, new))}
        attending = {node.path for node in stays if _attends(node, afar)} if afar else set()
        recomposed = tuple(node for node in stays if node.kind and (node.path in attending or _is_recomposed(old, new, node, touched)))
        return cls(
            frozenset(map(AgentPath, gone)),
            built,
            recomposed,
            tuple(node for node in stays if node.path in attending),
            frozenset(moved),
        )


def _changed(old: AgentTree, new: AgentTree) -> set[AgentPath]:
    """The agents of both whose own definition differs, or what they take over."""
    found: set[AgentPath] = set()
    heads: list[AgentPath] = []
    """Agents that hand something else on to those below them."""
    for node in new:
        before = old.nodes.get(node.path)
        if before is None or (before.spec is node.spec and not heads):
            continue
        if before.spec is not node.spec and _hands_on_another(before.spec, node.spec):
            heads.append(node.path)
        if _differs(before, node) or any(is_below(node.path, head) for head in heads):
            found.add(node.path)
    return found


def _hands_on_another(before: AgentSpec, after: AgentSpec) -> bool:
    """Whether the agents below take over something else: in a flow delivery is durable."""
    if (before.flow is None) != (after.flow is None):
        return True
    return any(getattr(before, name) != getattr(after, name) for name in _INHERITED)


def _differs(before: AgentNode, after: AgentNode) -> bool:
    if before.kind != after.kind or before.is_board != after.is_board:
        return True
    if after.kind in ("human", "chat", "llm", "sentences") and getattr(before.spec, after.kind) != getattr(after.spec, after.kind):
        return True  # whom they ask, a person or a model, is no part of a plan
    return before.spec is not after.spec and any(getattr(before.spec, name) != getattr(after.spec, name) for name in _OWN)


def _is_recomposed(old: AgentTree, new: AgentTree, node: AgentNode, touched: Container[str]) -> bool:
    before = old.nodes[node.path]
    if before.spec is node.spec:
        return any(member.path in touched for member in new.members(node).values())
    members = new.members(node)
    return (
        getattr(before.spec, node.kind) != getattr(node.spec, node.kind)
        or old.members(before).keys() != members.keys()
        or any(member.path in touched for member in members.values())
    )


def _refers(node: AgentNode, changed: Container[str]) -> bool:
    """Whether an agent names one of these."""
    return any(path in changed for path in _references(node))


def _attends(node: AgentNode, afar: set[str]) -> bool:
    """Whether an agent hears, or may call, one of these."""
    if any(path in afar for path in _references(node)):
        return True
    return node.has_code and any(is_below(path, node.path) for path in afar)


def _references(node: AgentNode) -> Iterator[AgentPath]:
    spec, path = node.spec, node.path
    if spec.onnx is not None:
        yield from (resolve(source.from_, path, DEFAULT_OUTPUT)[0] for source in spec.onnx.on.values() if source.from_ is not None)
    if spec.voice is not None:
        yield resolve(spec.voice.to, path, DEFAULT_INPUT)[0]
    for group in spec.triggers.values():
        yield from (resolve(source.from_, path, DEFAULT_OUTPUT)[0] for source in group.on.values() if source.from_ is not None)
        for action in group.do:
            if action.send is not None:
                yield resolve(action.send.to, path, DEFAULT_INPUT)[0]
            if action.call is not None:
                yield resolve(action.call.agent, path, DEFAULT_INPUT)[0]
    yield from (resolve(reference, path, DEFAULT_INPUT)[0] for reference in (*spec.sends, *spec.tools))
    if spec.escalate is not None:
        yield resolve(spec.escalate.to, path, DEFAULT_INPUT)[0]
    if spec.sentences is not None:
        from edgematrix.agents.sentences import references_of  # noqa: PLC0415 - 4 ms that few matrices need

        yield from (resolve(reference, path, DEFAULT_INPUT)[0] for _, reference in references_of(spec.sentences))
    if node.kind != "flow":
        inside = AgentPath(f"{path}/{DEFAULT_OUTPUT}")
        yield from (resolve(port.from_, inside, DEFAULT_OUTPUT)[0] for port in spec.outputs.values() if port.from_ is not None)
