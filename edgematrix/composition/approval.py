"""A critical command that follows from untrusted text: a person sees it, and says yes or no (docs/spec/matrix.md, "Safety")."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Final

import msgspec

from edgematrix.agents.spec import CriticalSpec
from edgematrix.composition.course import Answered, Ask, Effect, Event, Fail, Failed, Finish, Note, Tick
from edgematrix.composition.finding import Finding, compiled
from edgematrix.composition.human import QUESTION_CHARACTERS_MAX
from edgematrix.errors import CodecError, ExpressionError
from edgematrix.expression import ANY, Template, template_names, written
from edgematrix.protocol.codec import encode_value
from edgematrix.protocol.duration import format_duration
from edgematrix.protocol.path import AgentPath

__all__ = ["CHOICES", "Action", "Approval", "ApprovalCourse", "check_approval", "digest_of"]

YES: Final = "yes"
CHOICES: Final = (YES, "no")
_WHOLE: Final = "value"
_SHOWN_MAX: Final = 300
"""Characters of the origins that a question shows."""
_LATIN_MAX: Final = "\u00ff"


class Action(msgspec.Struct, frozen=True):
    """One command that waits.

    `value` is what the device would be told. `origins` is whose words it follows from, `run` the run that it comes from, `expiry_us`
    the moment from which on it is worth nothing; None: never.
    """

    agent: AgentPath
    port: str
    value: object
    origins: str
    run: str
    expiry_us: int | None

    def told(self) -> dict[str, object]:
        """For whoever shows the question."""
        return {
            "agent": self.agent,
            "port": self.port,
            "payload": self.value,
            "origins": self.origins.split(),
            "run": self.run,
            "digest": digest_of(self.agent, self.port, self.value),
        }


def digest_of(agent: AgentPath, port: str, value: object) -> str:
    """What names this action and no other: 16 hexadecimal digits of the SHA-256 of `[agent, port, payload]` as JSON with sorted keys."""
    if isinstance(value, bytes):
        value = {"base16": value.hex()}
    return hashlib.sha256(json.dumps([agent, port, value], sort_keys=True).encode()).hexdigest()[:16]


class Approval:
    """The critical writes of one device, and the commands for them that wait.

    Raises:
        ExpressionError: an `ask` does not compile; `where` names it.
    """

    __slots__ = ("_agent", "_asks", "_specs", "waiting")

    def __init__(self, agent: AgentPath, specs: Mapping[str, CriticalSpec]) -> None:
        self._agent = agent
        self._specs = dict(specs)
        self._asks = {port: None if spec.ask is None else _template(spec.ask) for port, spec in specs.items()}
        self.waiting: dict[str, Action] = {}
        """By the runs that ask."""

    def course(self, runid: str) -> ApprovalCourse:
        """A course for the run of a command that is in `waiting`."""
        return ApprovalCourse(self, self.waiting[runid])

    def asks_about(self, port: str) -> bool:
        """Whether commands for this port wait."""
        return port in self._specs

    def timeout_us(self, port: str) -> int:
        """How long a person is waited for."""
        return int(self._specs[port].timeout)

    def question(self, action: Action) -> str:
        """The question about a command. It always shows the whole command, whatever `ask` says.

        Raises:
            ExpressionError: something that `ask` names is not there, or it is too long to be shown whole.
        """
        ask = self._asks[action.port]
        about = f"{action.agent}.{action.port}"
        head = f"Carry out {about}?" if ask is None else _clean(written(ask.render(_scope(action.value))))
        origins = _clean(action.origins)
        shown = origins if len(origins) <= _SHOWN_MAX else f"{origins[:_SHOWN_MAX]}…"
        text = f"{head}\n{about}: {_payload(action.value)}\nIt follows from {shown} (run {_clean(action.run)})."
        if len(text) > QUESTION_CHARACTERS_MAX:
            raise ExpressionError(f"the question has {len(text)} characters, a person is asked at most {QUESTION_CHARACTERS_MAX}")
        return text


class ApprovalCourse:
    """One command, until a person has decided or nobody waits any more. It is done when it is approved, and fails else."""

    __slots__ = ("_action", "_approval", "_over", "_until_us")

    def __init__(self, approval: Approval, action: Action) -> None:
        self._approval = approval
        self._action = action
        self._until_us: int | None = None
        self._over = False

    @property
    def deadline_us(self) -> int | None:
        """When nobody waits for the answer any more."""
        return None if self._over else self._until_us

    def begin(self, inputs: Mapping[str, object], now_us: int) -> list[Effect]:  # noqa: ARG002 - the action is known
        """Ask."""
        action = self._action
        try:
            question = self._approval.question(action)
        except ExpressionError as error:
            self._over = True
            return [Fail(f"the command is critical, and nobody can be asked about it: {error}")]
        until_us = now_us + self._approval.timeout_us(action.port)
        self._until_us = until_us if action.expiry_us is None else min(until_us, action.expiry_us)
        return [Ask(question, CHOICES, self._until_us, action.told())]

    def take(self, event: Event, now_us: int) -> list[Effect]:
        """Take an answer, or that the time is over. An answer that comes with its end, or after it, is too late."""
        if self._over or self._until_us is None or not isinstance(event, (Answered, Tick, Failed)):
            return []
        if isinstance(event, Failed):
            self._over = True
            return [Fail(f"the question reaches nobody: {event.reason}")]
        if now_us >= self._until_us:
            self._over = True
            waited = "it expired before" if self._until_us == self._action.expiry_us else self._waited()
            return [Fail(f"the command is critical and follows from untrusted text, and {waited}")]
        if not isinstance(event, Answered):
            return []
        self._over = True
        by = event.by or "somebody"
        return [Note(f"{by} has approved it"), Finish()] if event.value == YES else [Fail(f"{by} said no")]

    def waits_for(self) -> str:
        """What it waits for."""
        if self._over or self._until_us is None:
            return "nothing, it is over" if self._over else "its request"
        return "a person's approval"

    def close(self) -> tuple[str, ...]:
        """Nothing of it is kept outside."""
        self._over = True
        return ()

    def _waited(self) -> str:
        return f"nobody approved it within {format_duration(self._approval.timeout_us(self._action.port))}"


def check_approval(port: str, spec: CriticalSpec) -> Iterator[Finding]:
    """What is wrong with what is asked about a critical write."""
    if spec.ask is not None:
        yield from compiled(partial(_template, spec.ask), ("device", "writes", port, "critical", "ask"))


def _template(text: str) -> Template:
    return Template.compile(text, dict.fromkeys(sorted({*template_names(text), _WHOLE}), ANY))


def _scope(value: object) -> dict[str, object]:
    scope: dict[str, object] = {str(name): part for name, part in value.items()} if isinstance(value, Mapping) else {}
    return scope | {_WHOLE: value}


def _payload(value: object) -> str:
    """The command as the device reads it, in one line."""
    if isinstance(value, bytes):
        return f"bytes {value.hex()}"
    try:
        return _clean(encode_value(value).decode(errors="backslashreplace"))
    except CodecError:
        return "what has no written form"


def _clean(text: str) -> str:
    """A text that looks like what it is: one line, and letters beyond Latin-1 as numbers, for some look like others."""
    return "".join(char if char <= _LATIN_MAX and char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return f"\\u{ord(char):04x}"
