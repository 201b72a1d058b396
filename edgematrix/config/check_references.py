"""Every `from:`, `to:` and `agent:` names an agent and a port that are there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from edgematrix.config.agent_tree import DEFAULT_OUTPUT, AgentNode, AgentTree, Target
from edgematrix.config.finding import Finding, error, warning
from edgematrix.config.yaml_position import Key
from edgematrix.errors import ExpressionError, PathError
from edgematrix.protocol.topic import Kind

__all__ = ["check_references", "sends_of"]


def check_references(tree: AgentTree) -> Iterator[Finding]:
    """References that lead nowhere, and outputs that are read though nothing feeds them."""
    for node in tree:
        yield from _sources(tree, node)
        for reference, where in sends_of(node):
            yield from _destination(tree, node, reference, where)
        yield from _calls(tree, node)
        yield from _outputs(tree, node)


def sends_of(node: AgentNode) -> Iterator[tuple[str, tuple[Key, ...]]]:
    """Every wire that the agent's definition draws: the reference, and where it stands."""
    spec = node.spec
    for name, group in spec.triggers.items():
        for index, action in enumerate(group.do):
            if action.send is not None:
                yield action.send.to, (*node.where, "triggers", name, "do", index, "send", "to")
    for index, reference in enumerate(spec.tools):
        yield reference, (*node.where, "tools", index)
    if spec.escalate is not None:
        yield spec.escalate.to, (*node.where, "escalate", "to")
    if spec.voice is not None:
        yield spec.voice.to, (*node.where, "voice", "to")
    for index, reference in enumerate(spec.sends):
        yield reference, (*node.where, "sends", index)
    if spec.sentences:
        from edgematrix.agents.sentences import references_of  # noqa: PLC0415 - 4 ms that few matrices need

        with suppress(ExpressionError):  # told where sentences are compiled
            for index, reference in references_of(spec.sentences):
                yield reference, (*node.where, "sentences", "rules", index, "send", "to")


def _sources(tree: AgentTree, node: AgentNode) -> Iterator[Finding]:
    for reference, where in _read(node):
        try:
            target = tree.source(reference, node.path)
        except PathError as problem:
            yield error(where, problem.what, problem.remedy)
        else:
            yield from _unfed(tree, target, where)


def _read(node: AgentNode) -> Iterator[tuple[str, tuple[Key, ...]]]:
    """Every `from:` of a group or a window: the reference, and where it stands."""
    for group_name, group in node.spec.triggers.items():
        for name, source in group.on.items():
            if source.from_ is not None:
                yield source.from_, (*node.where, "triggers", group_name, "on", name, "from")
    for name, window_source in node.spec.onnx.on.items() if node.spec.onnx is not None else ():
        if window_source.from_ is not None:
            yield window_source.from_, (*node.where, "onnx", "on", name, "from")


def _unfed(tree: AgentTree, target: Target, where: tuple[Key, ...]) -> Iterator[Finding]:
    if target.kind is not Kind.OUT:
        return
    node, port, ports = target.node, target.port, tree.ports(target.node)
    if not node.has_code and port not in ports.fed:
        yield warning(where, f"nothing puts a value on {node.path}.{port}", "emit it there, or remove this source")
    elif node.has_code and ports.outputs and port not in ports.outputs:
        yield warning(where, f"{node.path} does not declare an output {port!r}", f"its outputs are {', '.join(sorted(ports.outputs))}")


def _destination(tree: AgentTree, node: AgentNode, reference: str, where: tuple[Key, ...]) -> Iterator[Finding]:
    if "${" in reference:
        yield error(where, "`to` is a wire and holds no ${…}", "one send for each port, each with a when:")
        return
    try:
        tree.destination(reference, node.path)
    except PathError as problem:
        yield error(where, problem.what, problem.remedy)


def _calls(tree: AgentTree, node: AgentNode) -> Iterator[Finding]:
    for name, group in node.spec.triggers.items():
        for index, action in enumerate(group.do):
            if action.call is None:
                continue
            where = (*node.where, "triggers", name, "do", index, "call", "agent")
            try:
                target = tree.destination(action.call.agent, node.path)
            except PathError as problem:
                yield error(where, problem.what, problem.remedy)
                continue
            if target.node is node:
                yield error(where, f"{node.path} calls itself, and would wait for itself")
            elif not target.node.has_code and DEFAULT_OUTPUT not in tree.ports(target.node).fed:
                yield error(where, f"{target.node.path} never answers", f"an answer is what it puts out on {DEFAULT_OUTPUT!r}")


def _outputs(tree: AgentTree, node: AgentNode) -> Iterator[Finding]:
    if node.spec.outputs and node.kind not in ("", "flow"):
        return  # what these put out is told by the checks of compositions
    for name, port in node.spec.outputs.items():
        if port.from_ is None:
            continue
        where = (*node.where, "outputs", name, "from")
        try:
            target = tree.child_output(port.from_, node)
        except PathError as problem:
            yield error(where, problem.what, problem.remedy)
        else:
            yield from _unfed(tree, target, where)
