"""Brings a fresh course to where another one was, by telling it again what that one was told. Nothing of what it says is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from edgematrix.composition.course import (
    Answered,
    Ask,
    Cancel,
    Choose,
    Chosen,
    Course,
    Done,
    Effect,
    Event,
    Fail,
    Failed,
    Finish,
    Go,
    Invoke,
    Tick,
)
from edgematrix.errors import StateError

__all__ = ["Replayed", "record_of", "replay"]

_DONE, _FAILED, _CHOSEN, _ANSWERED, _TICK, _GO = range(6)


def record_of(event: Event, at_us: int, taint: str) -> list[object]:
    """What a course is told, as its journal has it; `taint` is that of a step's outputs."""
    if type(event) is Done:
        return [_DONE, at_us, event.step, event.outputs, taint]
    if type(event) is Failed:
        return [_FAILED, at_us, event.step, event.reason, event.gone, taint]
    if type(event) is Chosen:
        return [_CHOSEN, at_us, event.step, event.choice]
    if type(event) is Answered:
        return [_ANSWERED, at_us, event.value, event.by]
    return [_TICK if type(event) is Tick else _GO, at_us]


class Replayed(msgspec.Struct):
    """Where a course is: the members of the steps under way, what a model is yet to choose, and what a person is asked.

    `taints` are the origins of untrusted text in what each step has put out. `is_over` tells that nothing is left to do, though
    something was under way when the journal was written.
    """

    steps: dict[int, str] = {}
    choices: dict[int, Choose] = {}
    asked: Ask | None = None
    taints: dict[int, str] = {}
    is_over: bool = False

    def take(self, effects: Iterable[Effect]) -> None:
        """Take note of what the course has said."""
        for effect in effects:
            if isinstance(effect, Invoke):
                self.steps[effect.step] = effect.member
            elif isinstance(effect, Cancel):
                self.steps.pop(effect.step, None)
            elif isinstance(effect, Choose):
                self.choices[effect.step] = effect
            elif isinstance(effect, Ask):
                self.asked = effect
            elif isinstance(effect, (Finish, Fail)):
                self.is_over = True

    def told(self, event: Event, taint: str) -> None:
        """Take note of what the course is told."""
        if isinstance(event, (Done, Failed, Chosen)):
            self.steps.pop(event.step, None)
            self.choices.pop(event.step, None)
            if taint:
                self.taints[event.step] = taint


def replay(course: Course, inputs: Mapping[str, object], began_us: int, records: Iterable[list[object]]) -> Replayed:
    """Tell a course all that another one was told, at the moments at which it was.

    Raises:
        StateError: a record is damaged.
    """
    found = Replayed({}, {}, None, {})
    found.take(course.begin(inputs, began_us))
    for record in records:
        event, at_us, taint = _read(record)
        found.told(event, taint)
        found.take(course.take(event, at_us))
    return found


def _read(record: list[object]) -> tuple[Event, int, str]:
    try:
        kind, at_us, *rest = record
        if not isinstance(kind, int) or not isinstance(at_us, int):
            raise StateError("a record of its journal is of no kind, or has no moment")
        taint = str(rest.pop()) if kind in (_DONE, _FAILED) else ""
        event: Event = _EVENTS[kind](*rest)  # type: ignore[arg-type]  # a wrong form is refused below
    except (ValueError, TypeError, LookupError) as error:
        raise StateError(f"a record of its journal is damaged: {error}") from None
    return event, at_us, taint


_EVENTS: tuple[type[Event], ...] = (Done, Failed, Chosen, Answered, Tick, Go)
