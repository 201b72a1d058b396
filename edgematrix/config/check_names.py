"""Ports, verbs and children of one agent share one namespace, and an agent is one thing (docs/spec/topics.md, "Paths")."""

from __future__ import annotations

from collections.abc import Iterator

from edgematrix.agents.onnx_spec import ONNX_OUTPUTS
from edgematrix.agents.voice_spec import VOICE_INPUTS, VOICE_OUTPUTS
from edgematrix.config.agent_tree import COMPOSITIONS, QUESTION_OUTPUT, AgentNode, AgentTree
from edgematrix.config.finding import Finding, error, warning
from edgematrix.config.yaml_position import Key

__all__ = ["VERBS", "check_names"]

VERBS = frozenset(
    {"approve", "cancel", "connect", "create", "dead", "disconnect", "duplicate", "pause", "remove", "resume", "send", "watch"},
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
        if node.spec.retry is not None or node.spec.deadline is not None:
            yield from _runs(node)
    for node in tree.compositions:
        yield from _implied(tree, node)


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
        asking = [name for name, write in spec.device.writes.items() if write.approval is not None]
        yield from ((QUESTION_OUTPUT, "output", (*node.where, "device", "writes", name, "critical")) for name in asking[:1])
    yield from _named_by_models(node)


def _named_by_models(node: AgentNode) -> Iterator[tuple[str, str, tuple[Key, ...]]]:
    """The ports that a model over windows, or a voice, has by what it is."""
    spec = node.spec
    key, inputs, outputs = (
        ("onnx", (), ONNX_OUTPUTS) if spec.onnx else ("voice", VOICE_INPUTS, VOICE_OUTPUTS) if spec.voice else ("", (), ())
    )
    for what, names, declared in (("input", inputs, spec.inputs), ("output", outputs, spec.outputs)):
        for name in names:
            if name not in declared:
                yield name, what, (*node.where, key)


def _is_verb(where: tuple[Key, ...], name: str, what: str) -> Finding:
    return error(
        where, f"{name!r} is a verb that every agent understands, so {_a(what)} cannot be named so", f"for example {name}_1", at_key=True
    )


def _a(what: str) -> str:
    return f"{'an' if what[0] in 'aeiou' else 'a'} {what}"


def _implied(tree: AgentTree, node: AgentNode) -> Iterator[Finding]:
    """Names that a composition's kind takes for its ports, and those of a pool's replicas, though nobody wrote them."""
    spec, ports = node.spec, tree.ports(node)
    for name in sorted((ports.inputs - spec.inputs.keys()) | (ports.outputs - spec.outputs.keys())):
        taken = next((taken for taken in ("agents", "inputs", "outputs") if name in getattr(spec, taken)), None)
        if taken is not None:
            what = f"{name!r} is a port that every {node.kind} has, so {_a(_ONE_OF[taken])} of {node.path} cannot be named so"
            yield error((*node.where, taken, name), what, f"for example {name}_1", at_key=True)
    for name in tree.members(node).keys() - spec.agents.keys():
        if name in spec.inputs or name in spec.outputs:
            where = (*node.where, "inputs" if name in spec.inputs else "outputs", name)
            yield error(where, f"{name!r} is the name of a replica of {node.path}, so a port cannot be named so", at_key=True)


_FIRED = frozenset({"python", "onnx", *COMPOSITIONS})
"""Kinds whose runs trigger groups without actions start."""
_ONE_OF = {"agents": "child", "inputs": "input", "outputs": "output"}


def _kinds(node: AgentNode) -> Iterator[Finding]:
    spec = node.spec
    kinds = [kind for kind in ("device", "voice", "onnx", "python", "triggers") if getattr(spec, kind)]
    composition = node.kind
    if composition:
        kinds = [*(kind for kind in COMPOSITIONS if getattr(spec, kind)), *kinds]
    if len(kinds) > 1 and not (kinds[1:] == ["triggers"] and kinds[0] in _FIRED):
        also = f"{kinds[0]}: with triggers:" if kinds[0] in _FIRED else "python: with triggers:"
        what = f"{node.path} is {', '.join(kinds)} at once, expected one of them (or {also})"
        yield error((*node.where, kinds[-1]), what, "make a child, or a neighbour, of the other", at_key=True)
    if not kinds and not spec.agents and not node.is_board:
        yield warning(node.where, f"{node.path} does nothing", "give it agents:, device:, triggers:, python: or sentences:", at_key=True)
    for name, group in spec.triggers.items():
        if not group.do and spec.python is None and spec.onnx is None and not composition:
            yield error((*node.where, "triggers", name), "the key 'do' is missing: nobody would work when this group fires", at_key=True)
    for name, port in spec.inputs.items():
        if port.from_ is not None:
            yield error((*node.where, "inputs", name, "from"), "an input has no `from`; who sends to it names it", at_key=True)
    if spec.tools and spec.llm is None:
        yield error((*node.where, "tools"), "`tools` is for agents with llm:", "an action's send: {to: …} is a wire by itself", at_key=True)
    if spec.escalate is not None and spec.llm is None and spec.sentences is None:
        what = "`escalate` is for agents with llm: or sentences:"
        yield error((*node.where, "escalate"), what, "a switch chooses between agents", at_key=True)
    if spec.sends and spec.python is None:
        yield error(
            (*node.where, "sends"), "`sends` is for agents with python:", "an action's send: {to: …} is a wire by itself", at_key=True
        )


def _runs(node: AgentNode) -> Iterator[Finding]:
    """What is said about the runs of an agent that has none here."""
    spec = node.spec
    kind = "device" if spec.device else "voice" if spec.voice else ""
    if not kind and (spec.triggers or spec.python or spec.onnx or node.kind):
        return
    who = f"{node.path} is {_a(kind)}" if kind else node.path
    for key in ("retry",) if node.is_board else ("retry", "deadline"):  # who has it work may wait so long
        if getattr(spec, key) is not None:
            yield error((*node.where, key), f"{who} has no runs here, so `{key}` means nothing", "it is for agents that work", at_key=True)
