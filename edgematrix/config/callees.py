"""Whom the run of an agent may call besides what is below it: a language model its tools, and an agent with `escalate:` the next one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from edgematrix.composition.escalation import ESCALATION, check_escalation
from edgematrix.config.agent_tree import DEFAULT_OUTPUT, AgentNode, AgentTree, Target
from edgematrix.config.check_members import hears
from edgematrix.config.finding import Finding, error
from edgematrix.errors import EdgeMatrixError, PathError

__all__ = ["callees_of", "check_escalations", "escalation_of"]


def callees_of(tree: AgentTree, node: AgentNode) -> dict[str, Target]:
    """Those of an agent with `llm:` or `sentences:`, by the names that its runs use. References that lead nowhere are passed over."""
    from edgematrix.config.tools import tools_of  # noqa: PLC0415 - few matrices have a language model

    found = tools_of(tree, node) if node.spec.llm is not None else {}
    following = escalation_of(tree, node)
    return found if following is None else found | {ESCALATION: following}


def escalation_of(tree: AgentTree, node: AgentNode) -> Target | None:
    """Who is asked where an agent is not sure; None where nobody is."""
    if node.spec.escalate is None:
        return None
    with suppress(EdgeMatrixError):  # told by the checks of references
        return tree.destination(node.spec.escalate.to, node.path)
    return None


def check_escalations(tree: AgentTree, node: AgentNode) -> Iterator[Finding]:
    """What is wrong with the `escalate:` of an agent."""
    spec = node.spec.escalate
    if spec is None:
        return
    place = (*node.where, "escalate")
    for found in check_escalation(spec):
        yield Finding(found.severity, (*node.where, *found.place), found.what, found.remedy)
    try:
        target = tree.destination(spec.to, node.path)
    except PathError:
        return  # told by the checks of references
    ring = _ring(tree, node)
    if target.node is node:
        yield error((*place, "to"), f"{node.path} escalates to itself", "name the agent that knows more")
    elif ring:
        yield error((*place, "to"), f"{' asks '.join(ring)}, and so on: nobody answers", "let the last one escalate to nobody")
    elif not hears(tree, target.node, target.port):
        yield error((*place, "to"), f"nothing in {target.node.path} reads its input {target.port!r}, so it never answers")
    elif not target.node.has_code and not target.node.is_board and DEFAULT_OUTPUT not in tree.ports(target.node).outputs:
        yield error((*place, "to"), f"{target.node.path} never answers", f"an answer is what it puts out on {DEFAULT_OUTPUT!r}")


def _ring(tree: AgentTree, node: AgentNode) -> list[str]:
    """The agents that ask one another for ever, from this one on to itself; nothing where they come to an end."""
    asked = [node.path]
    target = escalation_of(tree, node)
    while target is not None and target.node.path not in asked:
        asked.append(target.node.path)
        target = escalation_of(tree, target.node)
    return [*asked, node.path] if target is not None and target.node is node else []
