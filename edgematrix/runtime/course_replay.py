"""Brings a fresh course to where another one was, by telling it again what that one was told. Nothing of what it says is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

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
    Think,
    Thought,
    Tick,
)
from edgematrix.errors import StateError

__all__ = ["KINDS", "Replayed", "replay"]

_EVENTS: Final[tuple[type[Event], ...]] = (Done, Failed, Chosen, Answered, Tick, Go, Thought)
KINDS: Final[dict[type, int]] = {kind: number for number, kind in enumerate(_EVENTS)}
"""The number of each kind of event in a journal. A record is `[number, moment, event, taint]`, the taint being that of a step's outputs."""


class Replayed(msgspec.Struct):
    """Where a course is: the members of the steps under way, what a model is yet to choose or to say, and what a
    person is asked.

    `taints` are the origins of untrusted text in what each step has put out. `is_over` tells that nothing is left to do, though
    something was under way when the journal was written.
    """

    steps: dict[int, str] = {}
    choices: dict[int, Choose | Think] = {}
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
            elif isinstance(effect, (Choose, Think)):
                self.choices[effect.step] = effect
            elif isinstance(effect, Ask):
                self.asked = effect
            elif isinstance(effect, (Finish, Fail)):
                self.is_over = True

    def told(self, event: Event, taint: str) -> None:
        """Take note of what the course is told."""
        if isinstance(event, (Done, Failed, Chosen, Thought)):
            self.steps.pop(event.step, None)
            self.choices.pop(event.step, None)
            if taint:
                self.taints[event.step] = taint


def replay(course: Course, inputs: Mapping[str, object], began_us: int, records: Iterable[Sequence[object]]) -> Replayed:
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


def _read(record: Sequence[object]) -> tuple[Event, int, str]:
    try:
        kind, at_us, fields, taint = record
        if not (isinstance(kind, int) and isinstance(at_us, int) and isinstance(fields, list)):
            raise StateError("a record of its journal is of no kind, or has no moment")
        return _EVENTS[kind](*fields), at_us, str(taint)
    except (ValueError, TypeError, LookupError) as error:
        raise StateError(f"a record of its journal is damaged: {error}") from None
