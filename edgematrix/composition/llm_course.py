"""One request that a language model answers: what it is told next, given what it said and what its tools gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from edgematrix.composition.course import Cancel, Done, Effect, Emit, Event, Fail, Failed, Finish, Invoke, Note, Think, Thought, Tick
from edgematrix.composition.escalation import ESCALATION, request
from edgematrix.composition.llm_plan import LlmPlan
from edgematrix.composition.request import request_of
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
    is told to the model, for which it counts as a call. Where the model is not sure, somebody else is asked in its place: that is
    judged before a tool is used or an answer is put out, and no more once a tool was used.
    """

    __slots__ = (
        "_answers",
        "_asking",
        "_deadline_us",
        "_over",
        "_plan",
        "_request",
        "_step",
        "_thinking",
        "_tokens",
        "_told",
        "_took_us",
        "_tools",
        "_turns",
        "_used",
        "_waiting",
        "_was_wrong",
    )

    def __init__(self, plan: LlmPlan) -> None:
        self._plan = plan
        self._turns: list[Turn] = []
        self._request: object = None
        self._tools: tuple[str, ...] | None = None
        """The tools that it may use; None for all."""
        self._asking = 0
        """The step in which somebody else is asked in the model's place; 0 before."""
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
        self._request = request_of(inputs)
        try:
            prompt = plan.prompt(inputs)
        except ExpressionError as error:
            remedy = f"; {error.remedy}" if error.remedy else ""
            return self._fail(f"the prompt cannot be made: {error.what}{remedy}")
        if plan.spec.system is not None:
            self._turns.append(Turn("system", plan.spec.system))
        if plan.spec.among is not None:
            candidates = plan.candidates(inputs)
            if not candidates:
                return self._none("the request names nothing that it may do")
            self._tools = tuple(dict.fromkeys(candidate.tool for candidate in candidates))
            if plan.spec.provider == "llama_cpp":
                for candidate in reversed(candidates):  # what is nearest to the question counts most
                    self._turns += [
                        Turn("user", candidate.said),
                        Turn("assistant", "", (ToolCall("", candidate.tool, candidate.arguments),)),
                    ]
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
        return self._answered(event) if isinstance(event, (Done, Failed)) and event.step == self._asking else []

    def waits_for(self) -> str:
        """What it waits for."""
        if self._over or not self._step:
            return "nothing, it is over" if self._over else "its request"
        if self._asking:
            return self._plan.asks
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
        return [Think(self._step, tuple(self._turns), tokens, time_us, self._tools)]

    def _thought(self, event: Thought) -> list[Effect]:
        self._thinking = 0
        self._tokens += event.tokens
        self._took_us += event.took_us
        notes: list[Effect] = [Note(event.note)] if event.note else []
        if event.calls:
            calls = [ToolCall(name[0], name[1], dict(name[2])) for name in event.calls]
            return notes + (self._doubted(event.confidence, None, calls) or self._use(calls))
        value, wrong = self._plan.read(event.text, is_cut=event.is_cut)
        if wrong:
            return notes + self._wrong(event.text, wrong)
        told = value.get("confidence") if isinstance(value, Mapping) else None
        is_told = isinstance(told, (int, float)) and not isinstance(told, bool)
        doubted = self._doubted(min(1.0, max(0.0, float(told))) if is_told and told is not None else event.confidence, value, [])
        if doubted:
            return notes + doubted
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
        known = plan.tools if self._tools is None else self._tools
        stranger = next((call.name for call in calls if call.name not in known), None)
        if stranger is not None:
            return self._wrong("", f"there is no tool {stranger[:80]!r}; there are {', '.join(known) or 'none'}")
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

    # Whoever is asked in its place

    def _doubted(self, confidence: float | None, value: object, calls: Sequence[ToolCall]) -> list[Effect]:
        """Ask somebody else where the model is not sure; nothing where it is, or has used a tool already."""
        escalation = self._plan.escalation
        if escalation is None or self._used or self._asking:
            return []
        reason = "" if confidence is not None else "the model does not tell how sure it is"
        if not escalation.is_wanted(confidence or 0.0, reason):
            return []
        own: list[dict[str, object]] = [{"said": _written(value), "confidence": confidence}] if value is not None else []
        own += [{"said": call.name, "payload": call.arguments, "confidence": confidence} for call in calls]
        return self._escalate(f"confidence {confidence or 0.0:.2f}" + (f": {reason}" if reason else ""), own)

    def _escalate(self, why: str, own: list[dict[str, object]]) -> list[Effect]:
        given = self._request
        text = given.get("text", given) if isinstance(given, Mapping) else given
        known = given.get("candidates") if isinstance(given, Mapping) else None
        before = [found for found in known if isinstance(found, dict)] if isinstance(known, Sequence) and not isinstance(known, str) else []
        self._step += 1
        self._asking = self._step
        told = Note(f"{self._plan.asks} is asked in its place: {why}")
        return [told, Invoke(self._step, ESCALATION, (("", request(text, own + before)),), _WANTED)]

    def _answered(self, event: Done | Failed) -> list[Effect]:
        """The answer of whoever was asked is the answer."""
        plan = self._plan
        if isinstance(event, Failed):
            return self._none(f"{plan.asks} could not be asked: {event.reason}")
        if "out" not in event.outputs:
            asked_back = event.outputs.get("unknown")
            told = asked_back.get("answer") or asked_back.get("reason") if isinstance(asked_back, Mapping) else None
            return self._none(f"{plan.asks} is not sure either: {told}" if told else f"{plan.asks} gave no answer")
        value = event.outputs["out"]
        if plan.spec.output is None and isinstance(value, Mapping) and isinstance(value.get("answer"), str):
            value = value["answer"]
        wrong = plan.refusal(value)
        return self._none(f"{plan.asks} gave what is no answer here: {wrong}") if wrong else self._put_out(value)

    # Ends

    def _timed(self, now_us: int) -> list[Effect]:
        if self._deadline_us is None or now_us < self._deadline_us:
            return []
        waited = self.waits_for()
        stopped: list[Effect] = [Cancel(step) for step in (*self._waiting, *((self._asking,) if self._asking else ()))]
        self._asking = self._asking or -1
        told = format_duration(self._plan.spec.deadline or 0)
        return stopped + self._none(f"its deadline of {told} has passed; it waited for {waited}")

    def _none(self, reason: str) -> list[Effect]:
        """There is no answer: somebody else is asked, if that was not done, and no tool was used."""
        escalation = self._plan.escalation
        if escalation is not None and not self._asking and not self._used and escalation.is_wanted(0.0, reason):
            return self._escalate(reason, [])
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
