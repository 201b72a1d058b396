"""Lets agents ask people, and critical commands wait for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgematrix.agents.spec import CriticalSpec
from edgematrix.config.agent_tree import QUESTION_OUTPUT, AgentNode
from edgematrix.config.inherited import Inherited
from edgematrix.config.worktable import Worktable
from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.runtime.device_runner import DeviceRunner

if TYPE_CHECKING:
    from edgematrix.runtime.questions import Questions

__all__ = ["People"]


class People:
    """Whom the agents on a table ask."""

    def __init__(self, table: Worktable) -> None:
        self._table = table

    def questions(self, path: AgentPath) -> Questions:
        """Where people are asked, by this agent too."""
        from edgematrix.runtime.questions import Questions  # noqa: PLC0415 - few matrices ask people

        if self._table.parts.questions is None:
            self._table.parts.questions = Questions(self._table.engine)
        self._table.site.deliveries.setdefault(topic_for(self._table.tree.matrix.root, Kind.OUT, path, QUESTION_OUTPUT), (1, False))
        return self._table.parts.questions

    def hear_answers(self, path: AgentPath, text: str, questions: Questions) -> None:
        """Let answers come on a foreign topic, too."""
        from edgematrix.runtime.questions import AnswerTopic  # noqa: PLC0415

        self._table.ears.listen(TopicFilter.parse(text), AnswerTopic(self._table.engine, questions, path), qos=1)

    def asked_by(self, node: AgentNode) -> Questions:
        """Let an agent that is a person ask."""
        assert node.spec.human is not None  # noqa: S101 - whoever calls knows
        questions = self.questions(node.path)
        if node.spec.human.notify is not None:
            self._table.parts.notify[node.path] = node.spec.human.notify
        if node.spec.human.answers is not None:
            self.hear_answers(node.path, node.spec.human.answers, questions)
        return questions

    def approvals(self, runner: DeviceRunner, critical: dict[str, CriticalSpec], own: Inherited) -> None:
        """Let critical commands that follow from untrusted text wait for a person."""
        from edgematrix.composition.approval import Approval  # noqa: PLC0415 - few devices are critical
        from edgematrix.runtime.approval_runner import ApprovalRunner, Asking  # noqa: PLC0415

        path = runner.agent
        questions = self.questions(path)
        for port, spec in critical.items():
            if spec.notify is not None:
                self._table.parts.notify[f"{path}.{port}"] = spec.notify
        for text in dict.fromkeys(spec.answers for spec in critical.values() if spec.answers is not None):
            self.hear_answers(path, text, questions)
        approval = Approval(path, critical)
        body = Asking(self._table.engine, approval, frozenset(critical), {}, questions)
        runner.approvals = ApprovalRunner(self._table.engine, approval, body, runner, self._table.next_order(), keeps=own.is_durable)
        self._table.site.holders.setdefault(path, []).append(runner.approvals)
