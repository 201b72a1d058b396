"""Questions to people that wait for an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

import msgspec

from edgematrix.errors import RunError
from edgematrix.expression import written
from edgematrix.protocol.event import Trail
from edgematrix.protocol.message import Message
from edgematrix.protocol.path import AgentPath, is_below
from edgematrix.runtime.dead_letter import Origin
from edgematrix.runtime.engine import Engine, Hits

__all__ = ["AnswerTopic", "Question", "Questions", "Take"]

Take: TypeAlias = Callable[[object, str, int], None]
"""Called with the answer, who gave it, and the moment."""


class Question(msgspec.Struct, frozen=True):
    """What is asked: by which agent, in which run, and until when (the host's timeline, microseconds).

    `action` is the command that waits for the answer, where it is one: then only people answer, and name the run.
    """

    agent: AgentPath
    runid: str
    text: str
    choices: tuple[str, ...]
    until_us: int
    action: Mapping[str, object] | None = None


class Questions:
    """The questions of one host. Each leaves on its agent's port `ask`, and on a foreign topic where the agent names one.

    Args:
        notify: the foreign topic by agent, of questions about commands by `agent.port`.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.notify: dict[str, str] = {}
        self._open: dict[tuple[AgentPath, str], tuple[Question, Take]] = {}
        self._asked_us: dict[tuple[AgentPath, str], int] = {}
        """When each was asked; not of those that were asked before a restart."""

    def __iter__(self) -> Iterator[Question]:
        return iter([question for question, _ in self._open.values()])

    def ask(self, question: Question, trail: Trail, take: Take, now_us: int) -> None:
        """Ask, and remember who waits."""
        engine = self._engine
        self._open[question.agent, question.runid] = (question, take)
        self._asked_us[question.agent, question.runid] = now_us
        about: dict[str, object] = {"question": question.text, "choices": list(question.choices), "run": question.runid}
        if question.action is not None:
            about["action"] = dict(question.action)
        engine.emit(question.agent, "ask", about, trail, now_us)
        topic = self._notified(question)
        if topic is not None:
            engine.publish(question.agent, topic, about, now_us, qos=1, taint=trail.taint)

    def stand(self, question: Question, take: Take) -> None:
        """A question was asked before a restart, and still waits."""
        self._open[question.agent, question.runid] = (question, take)

    def withdraw(self, agent: AgentPath, runid: str, now_us: int) -> None:
        """Nobody waits for the answer any more."""
        self._asked_us.pop((agent, runid), None)
        found = self._open.pop((agent, runid), None)
        if found is not None:
            topic = self._notified(found[0])
            if topic is not None:
                self._engine.publish(agent, topic, {"run": runid, "over": True}, now_us, qos=1)

    def answer(
        self,
        path: AgentPath,
        runid: str,
        value: object,
        by: str,
        now_us: int,
        given_us: int | None = None,
        *,
        digest: str = "",
        is_named: bool = True,
    ) -> Question:
        """Give a person's answer to the question of this agent, or of the only one below `path` that asks.

        Args:
            runid: the run that asks; empty for the only one. Then the answer must not be older than the question.
            given_us: when the answer was given, where that is said.
            digest: the command that is meant, where the answer says so: another one is not approved by it.
            is_named: whether it is known who answers. Who is not has to name the run of a command.

        Raises:
            RunError: no such question waits, several do, or the answer is none of the choices, or is to an earlier question.
        """
        found = [
            (question, take)
            for question, take in self._open.values()
            if (question.agent == path or is_below(question.agent, path)) and (not runid or question.runid == runid)
        ]
        if not found:
            raise RunError(f"no question waits{f' in run {runid}' if runid else ''}", where=path)
        if len(found) > 1:
            runs = ", ".join(question.runid for question, _ in found[:10])
            raise RunError(f"{len(found)} questions wait, in the runs {runs}", where=path, remedy="say which run is meant")
        question, take = found[0]
        if not runid and given_us is not None and given_us < self._asked_us.get((question.agent, question.runid), given_us):
            what = "the answer was given before this question was asked"
            raise RunError(what, where=question.agent, remedy=f"name its run, {question.runid}")
        action = question.action
        if action is not None:
            if not runid and not is_named:
                raise RunError(
                    "an approval has to name its run", where=question.agent, remedy=f'{{"answer": …, "run": "{question.runid}"}}'
                )
            if digest and digest != action["digest"]:
                raise RunError(f"the approval is of another action, {digest[:40]}", where=question.agent)
        if question.choices and (value is None or written(value) not in question.choices):
            raise RunError(f"{value!r} is no answer, expected {', '.join(question.choices)}", where=question.agent)
        take(value, by, now_us)
        return question

    def _notified(self, question: Question) -> str | None:
        """The foreign topic that gets a question."""
        action = question.action
        return self.notify.get(question.agent if action is None else f"{question.agent}.{action['port']}")


class AnswerTopic:
    """Hears a foreign topic on which answers of people come: `{"answer": …, "run": …, "by": …}`, or the answer alone.

    Who answered is a claim there: what is told is `topic` and the name that the message gives.
    """

    __slots__ = ("_engine", "_questions", "agent")

    def __init__(self, engine: Engine, questions: Questions, agent: AgentPath) -> None:
        self._engine = engine
        self._questions = questions
        self.agent = agent

    def receive(self, message: Message, hits: Hits, now_us: int) -> None:  # noqa: ARG002 - there is one input
        """Take an answer. A retained one is as old as nobody knows, and is none."""
        about = message.value if isinstance(message.value, Mapping) else {"answer": message.value}
        reason = "a retained message answers nothing" if message.retained else ""
        if not reason and "answer" not in about:
            reason = "expected an answer, or an object with `answer`"
        if not reason:
            by = f"{message.topic}#{about['by']}" if about.get("by") else message.topic
            try:
                run, digest = str(about.get("run") or ""), str(about.get("digest") or "")
                self._questions.answer(self.agent, run, about["answer"], by, now_us, digest=digest, is_named=False)
            except RunError as error:
                reason = error.what
        if reason:
            self._engine.dead_letter(self.agent, message.topic, message.value, reason, now_us, Origin(message.trail, message.source))
