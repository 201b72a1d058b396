"""One trigger group as a pure state machine (docs/spec/triggers.md)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeAlias

from edgematrix.triggers.admission import hand_over, run_ended, take_judged
from edgematrix.triggers.arrival import Arrival
from edgematrix.triggers.calendar import Calendar
from edgematrix.triggers.holding import runs_held
from edgematrix.triggers.parts import copy_parts, read_parts, write_parts
from edgematrix.triggers.plan import Plan
from edgematrix.triggers.reception import receive
from edgematrix.triggers.restart import begin, go_on, set_clock
from edgematrix.triggers.signal import ClockStepped, HandedOver, Judged, RunEnded, Tick
from edgematrix.triggers.spec import GroupSpec
from edgematrix.triggers.state import GroupState
from edgematrix.triggers.step import Step
from edgematrix.triggers.timers import due_next, tick, touch

__all__ = ["Event", "Group"]

Event: TypeAlias = Arrival | Tick | RunEnded | ClockStepped | Judged | HandedOver


class Group:
    """A compiled group: no I/O, no clock, no state of its own.

    Args:
        spec: what the file says.
        path: the agent that it belongs to.
        name: its name there.
        calendar: time zone and place, for sources that go by the wall clock.
        key_of_run: the key is the run of the message (edges of a flow), not a capture.
        fields: by source, the properties of its value that `where` may name directly.

    Raises:
        ExpressionError: `where` or `if` does not compile.
        ValueError: a value, a time or a role cannot be made sense of; it names the source.
    """

    __slots__ = ("_plan", "name", "path")

    def __init__(
        self,
        spec: GroupSpec,
        *,
        path: str,
        name: str,
        calendar: Calendar,
        key_of_run: bool = False,
        fields: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        self.path = path
        self.name = name
        self._plan = Plan.of(spec, name, calendar, key_of_run=key_of_run, fields=fields or {})

    @property
    def plan(self) -> Plan:
        """What it was compiled to, for whoever shows it."""
        return self._plan

    def start(self, now_us: int) -> Step:
        """A fresh state.

        Args:
            now_us: the caller's timeline, which is the wall clock's time at a start.
        """
        return self._outcome(begin(self._plan, now_us), now_us)

    def step(self, state: GroupState, event: Event, now_us: int) -> Step:
        """Take one event. The state given is consumed.

        Carry the effects out before the next step, and tell of runs that end while you do.
        """
        plan = self._plan
        at_us = now_us - state.shift_us
        state.latest_us = at_us
        self._clean(state)
        kind = type(event)
        if kind is Arrival:
            receive(plan, state, event.message, event.hits, at_us)  # type: ignore[union-attr]  # kind is Arrival
        elif kind is Tick:
            tick(plan, state, at_us)
        elif isinstance(event, RunEnded):
            instance = run_ended(plan, state, event.run)
            if instance is not None:
                touch(plan, state, instance)
        elif isinstance(event, ClockStepped):
            set_clock(plan, state, event.skew_us, at_us)
        elif isinstance(event, Judged):
            for instance in take_judged(plan, state, event.firing, at_us):
                touch(plan, state, instance)
        elif isinstance(event, HandedOver):
            hand_over(plan, state)
            touch(plan, state, state.main)
        return self._outcome(state, now_us)

    def save(self, state: GroupState) -> dict[str, bytes | None]:
        """What has changed since the last save, by part; None is gone.

        The part of what the group shares is the empty text, the others are the keys.
        """
        return write_parts(self._plan, state)

    def copy(self, state: GroupState, bytes_max: int) -> dict[str, bytes] | None:
        """The whole state by part, for another host; `save` does not care. None where it takes more than `bytes_max`.

        Raises:
            StateError: a value has no stored form.
        """
        return copy_parts(self._plan, state, bytes_max)

    def load(self, parts: Mapping[str, bytes]) -> GroupState:
        """The state that `save` wrote, to be handed to `resume`.

        What a changed definition no longer has is left out; what it has anew begins at `resume`.

        Raises:
            StateError: it is damaged, or of an unknown version.
        """
        return read_parts(self._plan, parts)

    def resume(self, state: GroupState, now_us: int, *, runs_kept: Collection[int] = ()) -> Step:
        """Go on after a restart.

        Held firings go at once. Timers that passed while down are left for `Tick`: the deadline lies in the past, and
        whoever has several groups ticks the oldest first.

        Args:
            now_us: the new timeline, which is the wall clock's time at a start.
            runs_kept: runs that outlive the restart; all others are abandoned.
        """
        self._clean(state)
        go_on(self._plan, state, now_us, runs_kept)
        return self._outcome(state, now_us)

    @staticmethod
    def runs_held(state: GroupState) -> set[str]:
        """The ids of all runs of which a token or a firing waits in the group, under whatever key."""
        return runs_held(state)

    @staticmethod
    def _clean(state: GroupState) -> None:
        state.steps += 1
        if state.effects:
            state.effects = []
        if state.traces:
            state.traces = []

    def _outcome(self, state: GroupState, now_us: int) -> Step:
        if state.pending is not None:
            return Step(state, state.effects, now_us, state.traces)
        if self._plan.timeless:
            return Step(state, state.effects, None, state.traces)
        due_us = due_next(state)
        return Step(state, state.effects, None if due_us is None else due_us + state.shift_us, state.traces)
