"""Ports, verbs and children of one agent share one namespace, and an agent is one thing (docs/spec/topics.md, "Paths")."""

from __future__ import annotations

from collections.abc import Iterator

from edgematrix.config.agent_tree import AgentNode, AgentTree
from edgematrix.config.finding import Finding, error, warning
from edgematrix.config.yaml_position import Key

__all__ = ["VERBS", "check_names"]

VERBS = frozenset(
    {"approve", "cancel", "connect", "create", "disconnect", "duplicate", "pause", "remove", "resume", "send", "watch"},
)
"""What every agent understands on `ctl`."""


def check_names(tree: AgentTree) -> Iterator[Finding]:
    """What is wrong with the names and the kinds of agents."""
    for name in tree.matrix.agents:
        if name in VERBS:
            yield _is_verb(("agents", name), name, "agent")
    for node in tree:
        yield from _clashes(node)
        yield from _kinds(node)


def _clashes(node: AgentNode) -> Iterator[Finding]:
    taken: dict[str, str] = {}
    for name, what, where in _named(node):
        if name in VERBS:
            yield _is_verb(where, name, what)
        elif name in taken:
            held = taken[name]
            beside = f"there are two {what}s" if held == what else f"there is {_a(held)} and {_a(what)}"
            yield error(where, f"{beside} named {name!r} in {node.path}, where ports and children share one namespace", at_key=True)
        taken.setdefault(name, what)


def _named(node: AgentNode) -> Iterator[tuple[str, str, tuple[Key, ...]]]:
    spec = node.spec
    for name in spec.agents:
        yield name, "child", (*node.where, "agents", name)
    for name in spec.inputs:
        yield name, "input", (*node.where, "inputs", name)
    for name in spec.outputs:
        yield name, "output", (*node.where, "outputs", name)
    emitted = node.emitted()
    for name, where in emitted.items():
        if name not in spec.outputs:
            yield name, "output", where
    if spec.device:
        for name in spec.device.reads:
            yield name, "read", (*node.where, "device", "reads", name)
        for name in spec.device.writes:
            yield name, "write", (*node.where, "device", "writes", name)
    if spec.sentences:
        yield "say", "input", (*node.where, "sentences")
        for name in {"out", "unknown"} - {*spec.outputs, *emitted}:
            yield name, "output", (*node.where, "sentences")


def _is_verb(where: tuple[Key, ...], name: str, what: str) -> Finding:
    return error(
        where, f"{name!r} is a verb that every agent understands, so {_a(what)} cannot be named so", f"for example {name}_1", at_key=True
    )


def _a(what: str) -> str:
    return f"{'an' if what[0] in 'aeiou' else 'a'} {what}"


_HALF_DURABLE = "`delivery: durable` keeps what comes with QoS 1 while the host is away; nothing is acknowledged from end to end yet"


def _kinds(node: AgentNode) -> Iterator[Finding]:
    spec = node.spec
    if spec.delivery == "durable":
        yield warning((*node.where, "delivery"), _HALF_DURABLE, "see docs/spec/matrix.md, In this version", at_key=True)
    kinds = [kind for kind in ("device", "sentences", "python", "triggers") if getattr(spec, kind)]
    allowed = kinds == ["python", "triggers"] or len(kinds) <= 1
    if not allowed:
        what = f"{node.path} is {', '.join(kinds)} at once, expected one of them (or python: with triggers:)"
        yield error((*node.where, kinds[-1]), what, "make a child, or a neighbour, of the other", at_key=True)
    if not kinds and not spec.agents and not node.is_elsewhere:
        yield warning(node.where, f"{node.path} does nothing", "give it agents:, device:, triggers:, python: or sentences:", at_key=True)
    for name, group in spec.triggers.items():
        if not group.do and spec.python is None:
            yield error((*node.where, "triggers", name), "the key 'do' is missing: nobody would work when this group fires", at_key=True)
    for name, port in spec.inputs.items():
        if port.from_ is not None:
            yield error((*node.where, "inputs", name, "from"), "an input has no `from`; who sends to it names it", at_key=True)
    if spec.sends and spec.python is None:
        yield error(
            (*node.where, "sends"), "`sends` is for agents with python:", "an action's send: {to: …} is a wire by itself", at_key=True
        )
