"""One request that is talked over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from edgematrix.composition.course import (
    Choose,
    Chosen,
    Done,
    Effect,
    Emit,
    Event,
    Fail,
    Failed,
    Finish,
    Invoke,
    Note,
    Tick,
)
from edgematrix.composition.judgement import Judgement
from edgematrix.composition.request import request_of
from edgematrix.composition.speaker import END, Modelled, Speaker, Standing
from edgematrix.composition.spec import ChatSpec
from edgematrix.composition.transcript import Transcript
from edgematrix.errors import EdgeMatrixError, ExpressionError, RunError
from edgematrix.protocol.duration import format_duration

__all__ = ["ChatCourse"]

_WANTED: Final = frozenset({"out"})


class ChatCourse:
    """Turns, one after the other.

    A member that returns nothing passes its turn, and so does one that fails, where that is skipped. Such turns count, so that
    `max_turns` bounds everything.
    """

    __slots__ = (
        "_choosing",
        "_deadline_us",
        "_failures",
        "_member",
        "_over",
        "_replied",
        "_said_at",
        "_speaker",
        "_spec",
        "_step",
        "_transcript",
        "_turn",
        "_until",
    )

    def __init__(self, spec: ChatSpec, speaker: Speaker, until: Judgement | None) -> None:
        self._spec = spec
        self._speaker = speaker
        self._until = until
        self._transcript = Transcript(None)
        self._deadline_us: int | None = None
        self._over = False
        self._step = 0
        self._turn = 0
        """Turns that were given so far."""
        self._member = ""
        """Who has the turn, or had the last one."""
        self._choosing = False
        self._replied = True
        """Whether something was said in the last turn; before the first, the request."""
        self._said_at = 0
        """The step of the last reply."""
        self._failures = 0
        """How many turns in a row have failed."""

    @property
    def deadline_us(self) -> int | None:
        """When it has taken too long."""
        return None if self._over else self._deadline_us

    def begin(self, inputs: Mapping[str, object], now_us: int) -> list[Effect]:
        """Open the transcript with the request, and give the first turn."""
        if self._spec.deadline is not None:
            self._deadline_us = now_us + self._spec.deadline
        try:
            self._transcript = Transcript(request_of(inputs))
        except RunError as error:
            return self._fail(error.what)
        return self._next()

    def take(self, event: Event, now_us: int) -> list[Effect]:
        """Take what the member of the turn did, or whom the model picked."""
        if self._over:
            return []
        if isinstance(event, Tick):
            return self._timed(now_us)
        if not isinstance(event, (Done, Failed, Chosen)) or event.step != self._step:
            return []
        if self._choosing:
            return self._picked(event)
        if isinstance(event, Done):
            return self._heard(event)
        return self._failed(event.reason) if isinstance(event, Failed) else []

    def waits_for(self) -> str:
        """What it waits for."""
        if self._over:
            return "nothing, it is over"
        if self._step == 0:
            return "its request"
        if self._choosing:
            return f"the model that picks who has turn {self._turn + 1} of at most {self._spec.max_turns}"
        return f"`{self._member}`, who has turn {self._turn} of at most {self._spec.max_turns}"

    def close(self) -> tuple[str, ...]:
        """Nothing of it is kept outside."""
        self._over = True
        return ()

    # Turns

    def _next(self) -> list[Effect]:
        if self._turn >= self._spec.max_turns:
            return self._end("max_turns")
        standing = Standing(self._turn + 1, self._member, self._replied, self._transcript)
        if isinstance(self._speaker, Modelled):
            self._choosing = True
            self._step += 1
            return [Choose(self._step, self._speaker.question(standing), self._speaker.choices)]
        try:
            pick = self._speaker.pick(standing)
        except EdgeMatrixError as error:
            return self._fail(f"before turn {standing.turn}: {error}")
        effects: list[Effect] = [Note(pick.note)] if pick.note else []
        return effects + (self._give(pick.member) if pick.member else self._end("end"))

    def _picked(self, event: Done | Failed | Chosen) -> list[Effect]:
        if isinstance(event, Done):
            return []
        self._choosing = False
        if isinstance(event, Failed):
            return self._fail(f"the model that picks who speaks failed before turn {self._turn + 1}: {event.reason}")
        if event.choice == END:
            return self._end("end")
        if event.choice not in self._spec.members:
            return self._fail(f"the model that picks who speaks gave {event.choice[:80]!r}, which is no member")
        return self._give(event.choice)

    def _give(self, member: str) -> list[Effect]:
        """Give a member the turn."""
        self._turn += 1
        self._step += 1
        self._member = member
        transcript = self._transcript
        request: dict[str, object] = {
            "transcript": transcript.as_list(),
            "request": transcript.opening.content,
            "turn": self._turn,
            "members": list(self._spec.members),
            "you": member,
        }
        after = (self._said_at,) if self._said_at else ()
        return [Invoke(self._step, member, (("", request),), _WANTED, after)]

    def _heard(self, event: Done) -> list[Effect]:
        reply = event.outputs.get("out")
        self._replied = reply is not None
        if reply is None:
            self._failures = 0
            return [Note(f"`{self._member}` says nothing in turn {self._turn}"), *self._next()]
        try:
            cut = self._transcript.add(self._member, reply)
        except RunError as error:
            return self._failed(error.what)
        self._failures = 0
        self._said_at = event.step
        effects: list[Effect] = [Note(f"the transcript is full, so its {cut} oldest replies were cut")] if cut else []
        return effects + self._judged(reply)

    def _judged(self, reply: object) -> list[Effect]:
        """Go on, unless `until` says that it is the end. What cannot be judged is no end."""
        until = self._until
        if until is None:
            return self._next()
        try:
            ended = until.holds(reply, reply=reply, speaker=self._member, turn=self._turn, transcript=self._transcript.as_list())
        except ExpressionError as error:
            return [Note(f"`until` cannot be judged after turn {self._turn}, so it does not hold: {error}"), *self._next()]
        return self._end("until") if ended else self._next()

    def _failed(self, reason: str) -> list[Effect]:
        if self._spec.on_error == "fail":
            return self._fail(reason, self._member)
        self._replied = False
        self._failures += 1
        if self._failures >= len(self._spec.members):
            return self._fail(f"{self._failures} turns in a row failed, the last one by: {reason}", self._member)
        return [Note(f"`{self._member}` failed in turn {self._turn}, which passes: {reason}"), *self._next()]

    # Ends

    def _timed(self, now_us: int) -> list[Effect]:
        if self._deadline_us is None or now_us < self._deadline_us:
            return []
        waited = self.waits_for()
        return self._fail(f"the chat took longer than {format_duration(self._spec.deadline or 0)}; it waited for {waited}")

    def _end(self, reason: str) -> list[Effect]:
        self._over = True
        transcript = self._transcript
        said: list[Effect] = [Emit("out", transcript.replies[-1].content)] if transcript.replies else []
        ended = {"reason": reason, "turns": self._turn}
        return [*said, Emit("transcript", transcript.as_list()), Emit("ended", ended), Finish()]

    def _fail(self, reason: str, member: str = "") -> list[Effect]:
        self._over = True
        return [Fail(reason, member)]
