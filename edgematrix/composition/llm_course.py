"""One request that a language model answers: what it is told next, given what it said and what its tools gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from edgematrix.composition.course import Cancel, Done, Effect, Emit, Event, Fail, Failed, Finish, Invoke, Note, Think, Thought, Tick
from edgematrix.composition.llm_plan import LlmPlan
from edgematrix.errors import ExpressionError
from edgematrix.models.talk import ToolCall, Turn
from edgematrix.protocol.duration import format_duration

__all__ = ["LlmCourse"]

_WANTED: Final = frozenset({"out"})
_TOLD_MAX: Final = 2_000
"""Characters of what a tool gave that the model is told."""


class LlmCourse:
    """A talk with a model, until it has answered.

    An answer that is none is told to the model, once; the second one fails the run. A tool that fails, or refuses what it was given,
    is told to the model, for which it counts as a call.
    """

    __slots__ = (
        "_answers",
        "_deadline_us",
        "_over",
        "_plan",
        "_step",
        "_thinking",
        "_tokens",
        "_told",
        "_took_us",
        "_turns",
        "_used",
        "_waiting",
        "_was_wrong",
    )

    def __init__(self, plan: LlmPlan) -> None:
        self._plan = plan
        self._turns: list[Turn] = []
        self._deadline_us: int | None = None
        self._over = False
        self._step = 0
        self._thinking = 0
        """The step in which the model thinks; 0 while it does not."""
        self._waiting: dict[int, ToolCall] = {}
        """Tools at work, by their steps."""
        self._told: dict[str, Turn] = {}
        """What tools of the newest turn gave, by the ids of their calls."""
        self._used = 0
        """Calls of tools so far."""
        self._tokens = 0
        self._took_us = 0
        self._was_wrong = False
        self._answers: tuple[int, ...] = ()
        """The steps whose outputs the model was told last."""

    @property
    def deadline_us(self) -> int | None:
        """When nobody waits for the answer any more."""
        return None if self._over else self._deadline_us

    def begin(self, inputs: Mapping[str, object], now_us: int) -> list[Effect]:
        """Put the question."""
        plan = self._plan
        if plan.spec.deadline is not None:
            self._deadline_us = now_us + plan.spec.deadline
        try:
            prompt = plan.prompt(inputs)
        except ExpressionError as error:
            return self._fail(f"the prompt cannot be made: {error}")
        if plan.spec.system is not None:
            self._turns.append(Turn("system", plan.spec.system))
        self._turns.append(Turn("user", prompt))
        return self._think()

    def take(self, event: Event, now_us: int) -> list[Effect]:
        """Take what the model says, or what a tool gave."""
        if self._over:
            return []
        if isinstance(event, Tick):
            return self._timed(now_us)
        if isinstance(event, Thought) and event.step == self._thinking:
            return self._thought(event)
        if isinstance(event, Failed) and event.step == self._thinking:
            return self._none(f"the model gave no answer: {event.reason}")
        if isinstance(event, (Done, Failed)) and event.step in self._waiting:
            return self._used_up(event)
        return []

    def waits_for(self) -> str:
        """What it waits for."""
        if self._over or not self._step:
            return "nothing, it is over" if self._over else "its request"
        if self._thinking:
            return f"the model {self._plan.spec.model}"
        return f"its tools {', '.join(call.name for call in self._waiting.values())}"

    def close(self) -> tuple[str, ...]:
        """Nothing of it is kept outside."""
        self._over = True
        return ()

    # The model

    def _think(self) -> list[Effect]:
        budget = self._plan.spec.budget
        tokens = min(self._plan.spec.max_tokens, budget.tokens - self._tokens)
        time_us = budget.seconds - self._took_us
        if tokens <= 0 or time_us <= 0:
            what = f"{budget.tokens} tokens" if tokens <= 0 else format_duration(budget.seconds)
            return self._none(f"the model has used up its budget of {what} for a run")
        self._step += 1
        self._thinking = self._step
        return [Think(self._step, tuple(self._turns), tokens, time_us)]

    def _thought(self, event: Thought) -> list[Effect]:
        self._thinking = 0
        self._tokens += event.tokens
        self._took_us += event.took_us
        notes: list[Effect] = [Note(event.note)] if event.note else []
        if event.calls:
            return notes + self._use([ToolCall(name[0], name[1], dict(name[2])) for name in event.calls])
        value, wrong = self._plan.read(event.text, is_cut=event.is_cut)
        if wrong:
            return notes + self._wrong(event.text, wrong)
        if event.is_cut:
            notes.append(Note(f"the answer was cut at its {event.tokens} tokens"))
        return notes + self._put_out(value)

    def _wrong(self, text: str, reason: str) -> list[Effect]:
        """Tell the model, once, that its answer is none."""
        if self._was_wrong:
            return self._none(f"the model gave no answer that could be used, twice: {reason}")
        self._was_wrong = True
        self._turns += [Turn("assistant", text[:_TOLD_MAX]), Turn("user", f"That is no answer: {reason}. Answer again.")]
        return [Note(f"the model answered what is no answer, and is asked again: {reason}"), *self._think()]

    def _put_out(self, value: object) -> list[Effect]:
        self._over = True
        emits: list[Effect] = [Emit("out", value)]
        if isinstance(value, Mapping):
            emits += [Emit(port, value[port]) for port in self._plan.fields if port in value]
        return [*emits, Finish()]

    # Tools

    def _use(self, calls: Sequence[ToolCall]) -> list[Effect]:
        plan = self._plan
        stranger = next((call.name for call in calls if call.name not in plan.tools), None)
        if stranger is not None:
            return self._wrong("", f"there is no tool {stranger[:80]!r}; there are {', '.join(plan.tools) or 'none'}")
        if self._used + len(calls) > plan.spec.tool_calls_max:
            return self._none(f"the model wants more than its {plan.spec.tool_calls_max} calls of tools")
        self._used += len(calls)
        named = [ToolCall(call.id or f"call-{self._used}-{index}", call.name, call.arguments) for index, call in enumerate(calls)]
        self._turns.append(Turn("assistant", "", tuple(named)))
        self._told = {}
        after, self._answers = self._answers, ()
        effects: list[Effect] = []
        for call in named:
            tool = plan.tools[call.name]
            wrong = tool.refusal(call.arguments)
            if wrong:
                effects.append(Note(f"the model gave {call.name} what it does not take: {wrong}"))
                self._told[call.id] = Turn("tool", f"refused: {wrong}", id=call.id)
                continue
            self._step += 1
            self._waiting[self._step] = call
            effects.append(Invoke(self._step, call.name, (("", tool.value(call.arguments)),), _WANTED, after))
        return effects if self._waiting else effects + self._go_on()

    def _used_up(self, event: Done | Failed) -> list[Effect]:
        call = self._waiting.pop(event.step)
        self._answers = (*self._answers, event.step)
        if isinstance(event, Failed):
            told = f"failed: {event.reason}"
        else:
            told = _written(event.outputs["out"]) if "out" in event.outputs else "done"
        self._told[call.id] = Turn("tool", told[:_TOLD_MAX], id=call.id)
        return [] if self._waiting else self._go_on()

    def _go_on(self) -> list[Effect]:
        """All tools of a turn have answered."""
        self._turns += [self._told[call.id] for call in self._turns[-1].calls]
        return self._think()

    # Ends

    def _timed(self, now_us: int) -> list[Effect]:
        if self._deadline_us is None or now_us < self._deadline_us:
            return []
        waited = self.waits_for()
        stopped: list[Effect] = [Cancel(step) for step in self._waiting]
        told = format_duration(self._plan.spec.deadline or 0)
        return stopped + self._none(f"its deadline of {told} has passed; it waited for {waited}")

    def _none(self, reason: str) -> list[Effect]:
        """There is no answer."""
        fallback = self._plan.spec.fallback
        if fallback is None:
            return self._fail(reason)
        return [Note(f"the fallback is put out: {reason}"), *self._put_out(fallback)]

    def _fail(self, reason: str) -> list[Effect]:
        self._over = True
        return [Fail(reason)]


def _written(value: object) -> str:
    if isinstance(value, str):
        return value
    try:
        return msgspec.json.encode(value).decode()
    except (TypeError, ValueError, RecursionError):
        return "something that is no JSON"
