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
    """What is asked: by which agent, in which run, and until when (the host's timeline, microseconds)."""

    agent: AgentPath
    runid: str
    text: str
    choices: tuple[str, ...]
    until_us: int


class Questions:
    """The questions of one host. Each leaves on its agent's port `ask`, and on a foreign topic where the agent names one.

    Args:
        notify: the foreign topic by agent.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.notify: dict[AgentPath, str] = {}
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
        about = {"question": question.text, "choices": list(question.choices), "run": question.runid}
        engine.emit(question.agent, "ask", about, trail, now_us)
        topic = self.notify.get(question.agent)
        if topic is not None:
            engine.publish(question.agent, topic, about, now_us, qos=1)

    def stand(self, question: Question, take: Take) -> None:
        """A question was asked before a restart, and still waits."""
        self._open[question.agent, question.runid] = (question, take)

    def withdraw(self, agent: AgentPath, runid: str, now_us: int) -> None:
        """Nobody waits for the answer any more."""
        self._asked_us.pop((agent, runid), None)
        if self._open.pop((agent, runid), None) is not None:
            topic = self.notify.get(agent)
            if topic is not None:
                self._engine.publish(agent, topic, {"run": runid, "over": True}, now_us, qos=1)

    def answer(self, path: AgentPath, runid: str, value: object, by: str, now_us: int, given_us: int | None = None) -> Question:
        """Give a person's answer to the question of this agent, or of the only one below `path` that asks.

        Args:
            runid: the run that asks; empty for the only one. Then the answer must not be older than the question.
            given_us: when the answer was given, where that is said.

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
        if question.choices and (value is None or written(value) not in question.choices):
            raise RunError(f"{value!r} is no answer, expected {', '.join(question.choices)}", where=question.agent)
        take(value, by, now_us)
        return question


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
                self._questions.answer(self.agent, str(about.get("run") or ""), about["answer"], by, now_us)
            except RunError as error:
                reason = error.what
        if reason:
            self._engine.dead_letter(self.agent, message.topic, message.value, reason, now_us, Origin(message.trail, message.source))
