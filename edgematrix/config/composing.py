"""Compiles what a composite's definition says into what its runs follow."""

from __future__ import annotations

from functools import partial
from importlib import resources
from typing import TYPE_CHECKING

import msgspec

from edgematrix.composition.course import Composition
from edgematrix.config.agent_tree import AgentNode, AgentTree
from edgematrix.config.callees import callees_of, escalation_of
from edgematrix.config.known_fields import fields_of_input, fields_of_output, fields_of_request
from edgematrix.config.tools import schema_of_tool, tools_of

if TYPE_CHECKING:
    from edgematrix.agents.near import NearSentences
    from edgematrix.agents.sentences import Sentences
    from edgematrix.agents.spec import NearSpec

__all__ = ["compose", "members_of", "near_of"]


def compose(tree: AgentTree, node: AgentNode) -> Composition:
    """The composition of an agent of one of the kinds of `COMPOSITIONS`.

    Raises:
        EdgeMatrixError: its definition does not compile; checking the matrix tells it with file and line.
    """
    spec = node.spec
    if spec.flow is not None:
        return _flow(tree, node)
    if spec.chat is not None:
        from edgematrix.composition.chat import Chat  # noqa: PLC0415 - a matrix loads the kinds that it has

        return Chat.compile(spec.chat)
    if spec.switch is not None:
        from edgematrix.composition.switch import Switch  # noqa: PLC0415

        return Switch.compile(spec.switch, fields_of_request(tree, node))
    if spec.pool is not None:
        from edgematrix.composition.pool import Pool  # noqa: PLC0415

        return Pool.compile(spec.pool, tuple(members_of(tree, node)), fields_of_request(tree, node))
    if spec.llm is not None or spec.sentences is not None:
        return _sentences(tree, node) if spec.llm is None else _llm(tree, node)
    assert spec.human is not None  # noqa: S101 - the last kind there is
    from edgematrix.composition.human import Human  # noqa: PLC0415

    return Human.compile(spec.human, fields_of_request(tree, node))


def members_of(tree: AgentTree, node: AgentNode) -> dict[str, AgentNode]:
    """The agents that a composite lets work, by the names that it uses."""
    if node.spec.llm is not None or node.spec.sentences is not None:
        return {name: target.node for name, target in callees_of(tree, node).items()}
    found = tree.members(node)
    if node.spec.chat is not None:
        return {name: found[name] for name in node.spec.chat.members}
    return found


def _llm(tree: AgentTree, node: AgentNode) -> Composition:
    from edgematrix.composition.llm import Llm  # noqa: PLC0415
    from edgematrix.composition.llm_plan import LlmPlan, LlmTool  # noqa: PLC0415

    assert node.spec.llm is not None  # noqa: S101 - whoever calls knows
    tools = {
        name: LlmTool(name, f"The input {target.port} of {target.node.path}.", schema_of_tool(tree, target))
        for name, target in tools_of(tree, node).items()
    }
    named = {f"{target.node.path}.{target.port}": name for name, target in tools_of(tree, node).items()}
    plan = LlmPlan.compile(node.spec.llm, tools, fields_of_request(tree, node), tree.ports(node).inputs)
    plan.named = named
    if node.spec.escalate is not None:
        from edgematrix.composition.escalation import Escalation  # noqa: PLC0415

        plan.escalation = Escalation.compile(node.spec.escalate)
        following = escalation_of(tree, node)
        plan.asks = "" if following is None else following.node.path
    return Llm(plan)


def _sentences(tree: AgentTree, node: AgentNode) -> Composition:
    from edgematrix.agents.sentences import Sentences  # noqa: PLC0415 - 4 ms that few matrices need
    from edgematrix.composition.escalation import Escalation  # noqa: PLC0415
    from edgematrix.composition.sentences import SentencesHeard  # noqa: PLC0415
    from edgematrix.composition.sentences_plan import SentencesPlan  # noqa: PLC0415

    spec, following = node.spec.sentences, escalation_of(tree, node)
    assert spec is not None  # noqa: S101 - whoever calls knows
    escalation = None if node.spec.escalate is None else Escalation.compile(node.spec.escalate)
    asks = "" if following is None else following.node.path
    sentences = Sentences.compile(spec, node.path, partial(tree.receiver, agent=node.path))
    return SentencesHeard(SentencesPlan(sentences, None if spec.near is None else near_of(sentences, spec.near), escalation, asks))


def near_of(sentences: Sentences, spec: NearSpec) -> NearSentences:
    """What compares sentences with those that rules know.

    Raises:
        ExpressionError: the rules know too many.
    """
    from edgematrix.agents.lexicon import Lexicon  # noqa: PLC0415 - few matrices need it
    from edgematrix.agents.near import NearSentences  # noqa: PLC0415
    from edgematrix.agents.near_confidence import NearConfidence  # noqa: PLC0415

    fitted = "near_encoder.json" if spec.model.endswith(".onnx") else "near.json"  # each for what such a model can tell
    weights = resources.files("edgematrix.models").joinpath("shipped", fitted).read_bytes()
    english = resources.files("edgematrix.models").joinpath("shipped", "english.toml").read_bytes()
    lexicon = msgspec.toml.decode(english, type=Lexicon)
    return NearSentences(sentences, msgspec.json.decode(weights, type=NearConfidence), spec, lexicon)


def _flow(tree: AgentTree, node: AgentNode) -> Composition:
    from edgematrix.composition.flow import Flow  # noqa: PLC0415

    assert node.spec.flow is not None  # noqa: S101 - whoever calls knows
    members = tree.members(node)
    outputs = {name: port.from_ for name, port in node.spec.outputs.items()}
    return Flow.compile(
        node.spec.flow,
        members,
        tree.ports(node).inputs,
        outputs,
        lambda member, port: fields_of_output(tree, members[member], port) if member else fields_of_input(tree, node, port),
        input_of=lambda member: tree.implied_input(members[member]),
        path=node.path,
    )
