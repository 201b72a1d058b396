"""Builds composites: flows, chats, switches, pools, people, language models, and hearers of sentences."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec import structs

from edgematrix.composition.course import Composition, Placing
from edgematrix.composition.spec import ModelSpeaker, SpeakerModel
from edgematrix.config.agent_tree import AgentNode
from edgematrix.config.people import People
from edgematrix.config.worktable import Worktable
from edgematrix.protocol.duration import SECOND_US
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.run import Body

if TYPE_CHECKING:
    from edgematrix.runtime.call_budget import CallBudget
    from edgematrix.runtime.course_body import CourseBody
    from edgematrix.runtime.ensemble import Chooser, Member, Thinker

__all__ = ["Composites"]

_GRACE_US = 2 * SECOND_US
"""How much longer than its own deadline a member on another host is waited for: it tells of it by itself, and the bus takes time."""


class Composites:
    """Those on a table; `people` are whom they ask."""

    def __init__(self, table: Worktable, people: People) -> None:
        self._table = table
        self._people = people

    def body(self, node: AgentNode) -> Body:
        """The body of a composite, which attends to its members."""
        from edgematrix.runtime.course_body import CourseBody  # noqa: PLC0415 - a matrix without composites does not need it

        composition, members = self.plan(node)
        questions = self._people.asked_by(node) if node.spec.human is not None else None
        body = CourseBody(
            self._table.engine,
            composition,
            self._table.tree.ports(node).inputs,
            members,
            questions,
            self._chooser(node),
            self._thinker(node, composition),
        )
        self.attend(node, body, composition)
        self._table.parts.bodies[node.path] = body
        return self._table.supervised(node, body)

    def plan(self, node: AgentNode) -> tuple[Composition, dict[str, Member]]:
        """How a composite works, and who is in it."""
        from edgematrix.config.composing import compose, members_of  # noqa: PLC0415 - a matrix without composites does not need it

        if node.spec.llm is not None or node.spec.sentences is not None:
            members = self._callees(node)
        else:
            members = {name: self._member(member) for name, member in members_of(self._table.tree, node).items()}
        composition = compose(self._table.tree, node)
        if node.spec.sentences is not None:
            from edgematrix.composition.sentences import SentencesHeard  # noqa: PLC0415 - few matrices have any

            assert isinstance(composition, SentencesHeard)  # noqa: S101 - it is of this kind
            self._table.site.wires.update((node.path, receiver, port) for receiver, port in composition.plan.sentences.wires)
        return composition, members

    def _callees(self, node: AgentNode) -> dict[str, Member]:
        """What a language model, or whoever escalates, may call, each with the port that takes what it gives."""
        from edgematrix.config.callees import callees_of  # noqa: PLC0415 - few matrices have either

        targets = callees_of(self._table.tree, node)
        self._table.site.wires.update((node.path, target.node.path, target.port) for target in targets.values())
        if self._table.tree.code is None and any(target.node.has_code for target in targets.values()):
            from edgematrix.config.code_types import LoadedTypes  # noqa: PLC0415

            self._table.tree.code = LoadedTypes(self._table.around.loader)
        return {name: structs.replace(self._member(target.node), input=target.port) for name, target in targets.items()}

    def attend(self, node: AgentNode, body: CourseBody, composition: Composition) -> None:
        """Let a composite hear its members: those elsewhere by their topics."""
        from edgematrix.config.composing import members_of  # noqa: PLC0415

        members = members_of(self._table.tree, node).values()
        for member in members:
            if member.is_elsewhere:
                self._table.ears.hear_answers(node.path, member)
            elif member.spec.device is None and node.spec.llm is None and node.spec.sentences is None:
                self._table.site.inner.add(member.path)
        elsewhere = [member.path for member in members if member.is_elsewhere]
        if elsewhere:
            pool = composition if isinstance(composition, Placing) else None
            self._table.ears.follow(node.path, elsewhere, partial(body.member_changed, pool))

    def _member(self, node: AgentNode) -> Member:
        from edgematrix.runtime.ensemble import Member  # noqa: PLC0415

        deadline_us = node.spec.deadline if node.is_elsewhere else None
        return Member(node.path, self._table.tree.implied_input(node), deadline_us, grace_us=0 if node.is_board else _GRACE_US)

    def _chooser(self, node: AgentNode) -> Chooser | None:
        speaker = None if node.spec.chat is None else node.spec.chat.speaker
        model = SpeakerModel() if speaker == "llm" else speaker.llm if isinstance(speaker, ModelSpeaker) else None
        if model is None or self._table.around.chooser is None:
            return None
        return self._table.around.chooser(model, self._table.workshop())

    def _thinker(self, node: AgentNode, composition: Composition) -> Thinker | None:
        table, make = self._table, self._table.around.thinker
        if make is None:
            return None
        ails = partial(table.engine.ail, node.path)
        if node.spec.sentences is not None and node.spec.sentences.near is not None:
            from edgematrix.composition.sentences import SentencesHeard  # noqa: PLC0415 - few matrices have any

            assert isinstance(composition, SentencesHeard)  # noqa: S101 - it is of this kind
            return make(node.path, composition.plan, table.workshop(), ails, None)
        if node.spec.llm is None:
            return None
        from edgematrix.composition.llm import Llm  # noqa: PLC0415 - few matrices have a language model

        assert isinstance(composition, Llm)  # noqa: S101 - it is of this kind
        budget = self._budget(node.path, node.spec.llm.budget.calls_per_hour)
        return make(node.path, composition.plan, table.workshop(), ails, budget)

    def _budget(self, path: AgentPath, calls_per_hour: int | None) -> CallBudget | None:
        if calls_per_hour is None:
            return None
        from edgematrix.runtime.call_budget import CallBudget  # noqa: PLC0415 - few models have one

        budget = CallBudget(self._table.engine, path, calls_per_hour)
        self._table.parts.counters.append(budget)
        return budget
