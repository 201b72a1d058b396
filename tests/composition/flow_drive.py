"""Drives courses of a flow by hand: steps end when the test says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from edgematrix.composition.course import Done, Effect, Emit, Fail, Failed, Finish, Invoke, Note
from edgematrix.composition.flow import Flow
from edgematrix.composition.spec import FlowSpec

SPEC = TypeAdapter(FlowSpec)


def flow_of(edges: list[Any], members: str, inputs: str = "request", outputs: Mapping[str, str | None] | None = None, **more: Any) -> Flow:
    """A flow over members named in one text, separated by spaces."""
    spec = SPEC.validate_python({"edges": edges, **more})
    return Flow.compile(spec, members.split(), inputs.split(), outputs or {}, lambda _member, _port: None)


def kept(flow: Flow) -> int:
    """How many keys of runs its joins hold."""
    return sum(station.join.runs for station in flow.plan.stations if station.join is not None)


class Drive:
    """One course, and what it has said so far."""

    def __init__(self, flow: Flow, inputs: Mapping[str, object] | None = None, runid: str = "r1", now_us: int = 0) -> None:
        self.flow = flow
        self.course = flow.course(runid)
        self.invoked: list[Invoke] = []
        self.emitted: dict[str, object] = {}
        self.notes: list[str] = []
        self.failed: Fail | None = None
        self.finished = 0
        self.open: dict[int, str] = {}
        self.hear(self.course.begin({"request": "go"} if inputs is None else inputs, now_us))

    def hear(self, effects: list[Effect]) -> None:
        for effect in effects:
            assert not self.over, "something was said after the end"
            if isinstance(effect, Invoke):
                assert effect.step == len(self.invoked) + 1
                self.invoked.append(effect)
                self.open[effect.step] = effect.member
            elif isinstance(effect, Emit):
                assert effect.port not in self.emitted
                self.emitted[effect.port] = effect.value
            elif isinstance(effect, Note):
                self.notes.append(effect.what if isinstance(effect.what, str) else effect.what.describe())
            elif isinstance(effect, Fail):
                self.failed = effect
            elif isinstance(effect, Finish):
                self.finished += 1
            else:
                raise AssertionError(f"unexpected {effect}")

    @property
    def over(self) -> bool:
        return bool(self.finished) or self.failed is not None

    @property
    def members(self) -> list[str]:
        return [effect.member for effect in self.invoked]

    def step_of(self, member: str) -> int:
        """The oldest step of a member that is under way."""
        return next(step for step, name in self.open.items() if name == member)

    def done(self, member: str | int, value: object = ..., now_us: int = 0, **outputs: object) -> None:
        """A member's step ends: with a value on `out`, with others by port, or with nothing."""
        step = member if isinstance(member, int) else self.step_of(member)
        self.open.pop(step, None)
        given = outputs if value is ... else {"out": value, **outputs}
        self.hear(self.course.take(Done(step, given), now_us))

    def fail(self, member: str, reason: str = "broken") -> None:
        step = self.step_of(member)
        del self.open[step]
        self.hear(self.course.take(Failed(step, reason), 0))

    def inputs(self, step: int) -> dict[str, object]:
        """What a step got, by port."""
        return dict(self.invoked[step - 1].inputs)
