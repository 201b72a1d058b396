"""A person who is asked, and waited for (docs/spec/matrix.md, "What an agent can be")."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import partial
from typing import Final

from edgematrix.composition.course import Answered, Ask, Effect, Emit, Event, Fail, Failed, Finish, Note, Tick
from edgematrix.composition.finding import Finding, compiled
from edgematrix.composition.request import request_of
from edgematrix.composition.spec import HumanSpec
from edgematrix.errors import ExpressionError
from edgematrix.expression import ANY, Template, template_names, written
from edgematrix.protocol.duration import format_duration
from edgematrix.protocol.moment import format_moment

__all__ = ["QUESTION_CHARACTERS_MAX", "Human", "HumanCourse", "check_human"]

QUESTION_CHARACTERS_MAX: Final = 16_000
"""Of a question. One beyond it is not asked: what is cut would be approved unseen."""
_SHOWN_MAX = 80
_WHOLE: Final = "value"


class Human:
    """A compiled question."""

    __slots__ = ("_ask", "_names", "choices", "default", "timeout_us")

    def __init__(self, ask: Template, names: Collection[str], spec: HumanSpec) -> None:
        self._ask = ask
        self._names = frozenset(names)
        self.choices = tuple(spec.choices or ())
        self.default: object = spec.default
        self.timeout_us = int(spec.timeout)

    @classmethod
    def compile(cls, spec: HumanSpec, fields: Collection[str] | None = None) -> Human:
        """Compile a question; `fields` are those of its request, None where they are not known.

        Raises:
            ExpressionError: `ask` is wrong; `where` is `ask`, then `line:column` in it.
        """
        try:
            names = template_names(spec.ask) if fields is None else fields
            shapes = dict.fromkeys(sorted({*names, _WHOLE}), ANY)
            return cls(Template.compile(spec.ask, shapes), shapes, spec)
        except ExpressionError as error:
            raise ExpressionError(error.what, where=f"ask {error.where}", remedy=error.remedy) from None

    def course(self, runid: str) -> HumanCourse:  # noqa: ARG002 - it shares nothing with other runs
        """A course for a run."""
        return HumanCourse(self)

    def question(self, request: object) -> str:
        """The question about a request.

        Raises:
            ExpressionError: something that it names is not there, or it is too long to be asked.
        """
        whole = request if isinstance(request, Mapping) else {}
        scope = {name: whole[name] for name in self._names if name in whole}
        scope[_WHOLE] = request
        text = written(self._ask.render(scope))
        if len(text) > QUESTION_CHARACTERS_MAX:
            raise ExpressionError(f"the question has {len(text)} characters, a person is asked at most {QUESTION_CHARACTERS_MAX}")
        return text

    def choice(self, value: object) -> object:
        """The answer that a value stands for, None if it is none.

        A bare payload such as `1` or `true` comes as a number or a flag, and still means the choice that is written so.
        """
        if not self.choices or value is None:
            return value
        try:
            text = written(value)
        except ExpressionError:
            return None
        return text if text in self.choices else None


class HumanCourse:
    """One question, until it is answered or nobody waits any more."""

    __slots__ = ("_human", "_over", "_question", "_until_us")

    def __init__(self, human: Human) -> None:
        self._human = human
        self._question = ""
        self._until_us: int | None = None
        self._over = False

    @property
    def deadline_us(self) -> int | None:
        """When nobody waits for the answer any more."""
        return None if self._over else self._until_us

    def begin(self, inputs: Mapping[str, object], now_us: int) -> list[Effect]:
        """Ask."""
        try:
            self._question = self._human.question(request_of(inputs))
        except ExpressionError as error:
            self._over = True
            return [Fail(f"the question cannot be put: {error}")]
        self._until_us = now_us + self._human.timeout_us
        return [Ask(self._question, self._human.choices, self._until_us)]

    def take(self, event: Event, now_us: int) -> list[Effect]:
        """Take an answer, or that the time is over. An answer that comes with its end, or after it, is too late."""
        if self._over or self._until_us is None or not isinstance(event, (Answered, Tick, Failed)):
            return []
        if isinstance(event, Failed):
            self._over = True
            return [Fail(f"the question reaches nobody: {event.reason}")]
        if now_us >= self._until_us:
            late: list[Effect] = [Note(f"the answer of {event.by or 'somebody'} came too late")] if isinstance(event, Answered) else []
            return late + self._unanswered()
        return self._answered(event) if isinstance(event, Answered) else []

    def waits_for(self) -> str:
        """What it waits for."""
        if self._over or self._until_us is None:
            return "nothing, it is over" if self._over else "its request"
        return f"an answer to {_shown(self._question)} until {format_moment(self._until_us)}"

    def close(self) -> tuple[str, ...]:
        """Nothing of it is kept outside."""
        self._over = True
        return ()

    def _answered(self, event: Answered) -> list[Effect]:
        answer = self._human.choice(event.value)
        if answer is None:
            choices = f"one of {', '.join(self._human.choices)}" if self._human.choices else "a value"
            return [Note(f"{event.by or 'somebody'} answered {_shown(event.value)}, expected {choices}; it still waits")]
        self._over = True
        return [Emit("out", {"answer": answer, "by": event.by, "default": False}, cleared=True), Finish()]

    def _unanswered(self) -> list[Effect]:
        self._over = True
        if self._human.default is None:
            return [Fail(f"nobody answered within {format_duration(self._human.timeout_us)}")]
        return [Emit("out", {"answer": self._human.default, "by": "", "default": True}), Finish()]


def check_human(spec: HumanSpec, fields: Collection[str] | None = None) -> Iterator[Finding]:
    """What is wrong with a question about a request with these fields (None: not known)."""
    yield from compiled(partial(Human.compile, spec, fields), ("human", "ask"))
    if spec.choices is None:
        return
    for number, choice in enumerate(spec.choices):
        if choice in spec.choices[:number]:
            yield Finding(("human", "choices", number), f"the choice `{choice}` stands there twice")
    if spec.default is not None and spec.default not in spec.choices:
        what = f"the default {_shown(spec.default)} is none of the choices"
        yield Finding(("human", "default"), what, f"one of {', '.join(spec.choices)}")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…"
