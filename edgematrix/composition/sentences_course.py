"""One sentence on its way through the stages of an intent agent: exact rules, the nearest known sentence, whoever is asked next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from edgematrix.agents.sentences import Command
from edgematrix.agents.understanding import Understanding
from edgematrix.composition.course import Done, Effect, Emit, Event, Fail, Failed, Finish, Invoke, Note, Send, Think, Thought
from edgematrix.composition.escalation import ESCALATION, answered, request
from edgematrix.composition.sentences_plan import SentencesPlan
from edgematrix.models.talk import Turn

__all__ = ["SentencesCourse"]

_WANTED: Final = frozenset({"out"})
_TEXT_SHOWN_MAX: Final = 500
_NO_TEXT: Final = "expected a sentence: a text, or an object with `text`"


class SentencesCourse:
    """Hears one sentence. Nothing is carried out before all of it is understood, and somebody is sure of it."""

    __slots__ = ("_found", "_over", "_plan", "_step", "_text")

    def __init__(self, plan: SentencesPlan) -> None:
        self._plan = plan
        self._text = ""
        self._step = 0
        self._over = False
        self._found: Understanding | None = None
        """What is known while somebody else is asked."""

    @property
    def deadline_us(self) -> int | None:
        """Never: a model has a time-out, and whoever is asked next a deadline of its own."""
        return None

    def begin(self, inputs: Mapping[str, object], now_us: int) -> list[Effect]:  # noqa: ARG002 - nothing in it waits for a moment
        """Hear the sentence."""
        said = next(iter(inputs.values()), None)
        text = said.get("text") if isinstance(said, Mapping) else said
        if not isinstance(text, str):
            return self._fail(_NO_TEXT)
        self._text = text
        found = self._plan.heard(text)
        near = self._plan.near
        if found.commands or near is None:
            return self._judge(found)
        asked = near.asked(text)
        if not asked:
            return self._judge(found)
        self._found = found
        self._step = 1
        return [Think(1, tuple(Turn("user", part) for part in asked), 1, near.timeout_us)]

    def take(self, event: Event, now_us: int) -> list[Effect]:  # noqa: ARG002 - nothing in it waits for a moment
        """Take what the model found near, or what was answered in this one's place."""
        if self._over or not isinstance(event, (Thought, Done, Failed)) or event.step != self._step or self._found is None:
            return []
        if isinstance(event, Thought):
            assert self._plan.near is not None  # noqa: S101 - it was asked
            notes: list[Effect] = [Note(event.note)] if event.note else []
            return [*notes, *self._judge(self._plan.near.understood(self._text, event.text, self._found))]
        if isinstance(event, Done):
            return self._answered(event.outputs)
        if self._step == 1 and self._plan.near is not None:
            return [Note(f"what is near is not known: {event.reason}"), *self._judge(self._found)]
        return [Note(f"{self._plan.asks}: {event.reason}"), *self._ask_back(f"{self._plan.asks} could not be asked: {event.reason}")]

    def waits_for(self) -> str:
        """What it waits for."""
        if self._over or self._found is None:
            return "nothing, it is over" if self._over else "its sentence"
        return "its model of what is near" if self._step == 1 and self._plan.near is not None else self._plan.asks

    def close(self) -> tuple[str, ...]:
        """Nothing of it is kept outside."""
        self._over = True
        return ()

    # Inside

    def _judge(self, found: Understanding) -> list[Effect]:
        """Carry out what is sure, ask the next one, or ask back."""
        plan = self._plan
        told: list[Effect] = [Note(_told(found))]
        self._found = found
        if plan.escalation is not None and plan.escalation.is_wanted(found.confidence, found.reason):
            self._step = 2
            known = [candidate.plain() for candidate in found.candidates]
            return [*told, Invoke(2, ESCALATION, (("", request(self._text, known)),), _WANTED)]
        if found.commands and found.confidence >= plan.sure:
            return told + self._carry_out(found)
        return told + self._ask_back(found.reason or "no rule knows it")

    def _carry_out(self, found: Understanding) -> list[Effect]:
        self._over = True
        sends: list[Effect] = []
        for command in found.commands:
            if command.path is not None:
                sends.append(Send(command.path, command.port, command.payload))
            sends += [Send(more.path, more.port, more.payload) for more in command.besides]
        return [*sends, Emit("out", self._done(found)), Finish()]

    def _done(self, found: Understanding) -> dict[str, Any]:
        """What was done: of one command as it always was, of several as a list besides."""
        commands = found.commands
        answer = " ".join(dict.fromkeys(command.answer for command in commands if command.answer))
        told: dict[str, Any] = {"text": self._text, "answer": answer, "stage": found.stage, "confidence": found.confidence}
        if len(commands) == 1:
            return told | _command(commands[0])
        return told | {"commands": [_command(command) for command in commands]}

    def _ask_back(self, reason: str) -> list[Effect]:
        """Say what there is to say about it; nothing is carried out."""
        self._over = True
        found = self._found
        assert found is not None  # noqa: S101 - it was judged before
        told: dict[str, Any] = {"text": self._text[:_TEXT_SHOWN_MAX], "reason": reason, "answer": found.asks_back()}
        told |= {"stage": found.stage, "confidence": found.confidence}
        if found.candidates:
            told["candidates"] = [candidate.plain() for candidate in found.candidates]
        return [Emit("unknown", told), Finish()]

    def _answered(self, outputs: Mapping[str, object]) -> list[Effect]:
        """Whoever was asked next has answered in this one's place, or asks back."""
        by = self._plan.asks
        if "out" in outputs:
            self._over = True
            return [Emit("out", answered(self._text, outputs["out"], by)), Finish()]
        if "unknown" in outputs:
            self._over = True
            return [Emit("unknown", answered(self._text, outputs["unknown"], by)), Finish()]
        return self._ask_back(f"{by} gave no answer")

    def _fail(self, reason: str) -> list[Effect]:
        self._over = True
        return [Fail(reason)]


def _command(command: Command) -> dict[str, Any]:
    told: dict[str, Any] = {"said": command.said, "slots": command.slots}
    if command.path is None:
        return told
    told |= {"to": f"{command.path}.{command.port}", "payload": command.payload}
    more = [{"to": f"{besides.path}.{besides.port}", "payload": besides.payload} for besides in command.besides]
    return told | ({"also": more} if more else {})


def _told(found: Understanding) -> str:
    """What a stage made of it, for whoever follows the run."""
    what = ", ".join(f"{command.path}.{command.port}" if command.path else "an answer" for command in found.commands) or "nothing"
    why = f": {found.reason}" if found.reason else ""
    return f"by {found.stage} {what}, confidence {found.confidence:.2f}{why}"
