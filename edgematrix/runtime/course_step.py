"""One step of a course: the call of a member, and the moment until which its answer is waited for."""

from __future__ import annotations

from typing import Protocol

from edgematrix.protocol.duration import format_duration
from edgematrix.runtime.call import Call
from edgematrix.runtime.engine import Engine
from edgematrix.runtime.ensemble import Member
from edgematrix.runtime.part import Part

__all__ = ["Conducting", "CourseStep"]


class Conducting(Protocol):
    """Who conducts the course."""

    order: int

    @property
    def engine(self) -> Engine:
        """Who carries its calls."""

    def step_over(self, step: CourseStep, call: Call, now_us: int) -> None:
        """The member has answered, returned nothing, or failed."""

    def pass_on(self, step: CourseStep, part: Part, now_us: int) -> None:
        """The member has streamed a piece."""


class CourseStep:
    """One call of a course. A timer of the engine where the member runs elsewhere and has a deadline."""

    __slots__ = ("_conduct", "_member", "call", "name", "number", "order", "until_us")

    def __init__(self, conduct: Conducting, number: int, name: str, member: Member) -> None:
        self._conduct = conduct
        self._member = member
        self.name = name
        self.number = number
        self.order = conduct.order
        self.call: Call | None = None
        self.until_us: int | None = None
        """When the member, elsewhere, is to have answered."""

    def answered(self, call: Call, now_us: int) -> None:
        """The call is over."""
        self._conduct.step_over(self, call, now_us)

    def part_heard(self, call: Call, part: Part, now_us: int) -> None:  # noqa: ARG002 - it has one call
        """The member has streamed a piece."""
        self._conduct.pass_on(self, part, now_us)

    def awaits(self, due_us: int) -> bool:  # noqa: ARG002 - it waits for one moment only
        """Whether it is still waited for."""
        return self.call is not None and self.call.runid in self._conduct.engine.calls.open

    def due(self, due_us: int, now_us: int) -> None:  # noqa: ARG002 - it waits for one moment only
        """The member, elsewhere, has not answered in time."""
        call = self.call
        if call is None:
            return
        engine = self._conduct.engine
        if call.runid in engine.calls.open:
            told = format_duration(self._member.deadline_us or 0)
            engine.hang_up(call, now_us)
            call.failure = f"its deadline of {told} has passed"
            self.answered(call, now_us)
