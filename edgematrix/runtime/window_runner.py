"""Windows over what other agents and foreign topics give: each begins a run of a model's agent.

While the model is busy the newest window waits, and takes the place of one that waited before: nothing grows, and what is scored is
never older than it must be.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from itertools import zip_longest

import msgspec

from edgematrix.agents.window import Lost, Ready, Sample, Windows, WindowStep
from edgematrix.protocol.duration import SECOND_US, format_duration
from edgematrix.protocol.event import Trail
from edgematrix.protocol.message import NO_TRAIL, Message
from edgematrix.protocol.moment import format_moment
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.value import as_number
from edgematrix.runtime.engine import Engine, Hits
from edgematrix.runtime.observation import Dropped, Outcome
from edgematrix.runtime.run import Body, Run
from edgematrix.runtime.work_runner import WorkRunner
from edgematrix.triggers import Reading

__all__ = ["WindowRunner", "WindowSource"]

_PATIENCE_US = 60 * SECOND_US
"""After so long without a window, or after three windows' length if that is more, it is told what is missing."""
_PATIENCE_WINDOWS = 3
_SAMPLES_MAX = 10_000
"""Samples of one input in one message; of more the newest count."""
_TAINTS_MAX = 16
"""Origins of untrusted text that are told apart."""
_WORK = "in"


class WindowSource(msgspec.Struct, frozen=True):
    """What feeds one input, by its place. `value` and `time` read a payload; the model is given `value * factor + offset`."""

    input: int
    value: Callable[[object], object]
    factor: float = 1.0
    offset: float = 0.0
    time: Callable[[object], object] | None = None


class WindowRunner(WorkRunner):
    """Fills windows, and begins a run for each.

    Args:
        sources: the index of a hit is the place of its source here.
        windows: makes them.
        order: the agent's place in the matrix as written.
    """

    __slots__ = (
        "_deadline_us",
        "_fails",
        "_last_us",
        "_patience_us",
        "_replaced",
        "_sources",
        "_state",
        "_taints",
        "_told_us",
        "_trail",
        "_waiting",
        "_windows",
    )
    is_work = False  # what was measured is measured again

    def __init__(
        self,
        engine: Engine,
        agent: AgentPath,
        sources: Sequence[WindowSource],
        windows: Windows,
        body: Body,
        order: int,
    ) -> None:
        super().__init__(engine, agent, (_WORK,), body, order)
        self._sources = tuple(sources)
        self._windows = windows
        self._state = windows.start()
        self._deadline_us: int | None = None
        self._patience_us = max(_PATIENCE_US, _PATIENCE_WINDOWS * windows.plan.span_us)
        self._told_us: int | None = None
        """When it is looked whether there was a window meanwhile; None before the start, and once it was told that there is none."""
        self._last_us = 0
        self._waiting: tuple[Ready, Trail] | None = None
        self._replaced = 0
        self._fails = False
        self._trail = NO_TRAIL
        self._taints: dict[str, int] = {}
        """Origins of untrusted text in the samples, each with the time of the last."""

    # Samples

    def open(self, now_us: int) -> None:
        """Begin to wait for the first window."""
        self._last_us = now_us
        self._be_patient()

    def receive(self, message: Message, hits: Hits, now_us: int) -> None:
        """Take one message. A retained one is no sample: nobody knows of when it is."""
        if message.retained:
            return
        samples: list[Sample] = []
        several = [self._samples(self._sources[index], message.value, now_us) for index, _ in hits]
        for together in zip_longest(*several):  # of lists, what was measured together comes together
            samples += [sample for sample in together if sample is not None]
        if message.trail.taint:
            self._note_taint(message.trail.taint, now_us)
        self._trail = message.trail
        self._take(self._windows.take(self._state, samples, now_us), now_us)

    def _samples(self, source: WindowSource, payload: object, now_us: int) -> list[Sample]:
        time_us = now_us if source.time is None else self._own_time_us(source.time(payload))
        value = source.value(payload)
        if time_us is None:
            return [Sample(source.input, now_us, None)]
        if not isinstance(value, list):
            return [Sample(source.input, time_us, _scaled(value, source))]
        values = value[-_SAMPLES_MAX:]
        every_us = self._windows.plan.every_us
        first_us = time_us - (len(values) - 1) * every_us
        return [Sample(source.input, first_us + place * every_us, _scaled(one, source)) for place, one in enumerate(values)]

    def _own_time_us(self, said: object) -> int | None:
        """The moment that a payload names, on our timeline; None if it names none."""
        seconds = as_number(said)
        return None if seconds is None or not 0 <= seconds < _SECONDS_MAX else round(seconds * SECOND_US) - self.engine.skew_us

    # Time

    def awaits(self, due_us: int) -> bool:
        """Whether it waits for that moment."""
        return due_us in (self._deadline_us, self._told_us)

    def due(self, due_us: int, now_us: int) -> None:
        """A window may be whole now; or there was none for too long."""
        if due_us == self._deadline_us:
            self._deadline_us = None
            self._take(self._windows.tick(self._state, now_us), now_us)
        if due_us == self._told_us:
            self._look(now_us)

    def _look(self, now_us: int) -> None:
        if now_us - self._last_us < self._patience_us:
            self._be_patient()
        else:
            self._told_us = None
            self._tell(f"no window for {format_duration(self._patience_us)}: {self._windows.waits_for(self._state)}", now_us)

    def _be_patient(self) -> None:
        self._told_us = self._last_us + self._patience_us
        self.engine.schedule(self, self._told_us)

    # Windows

    def _take(self, step: WindowStep, now_us: int) -> None:
        for window in step.windows:
            if isinstance(window, Lost):
                self._tell(window.reason, now_us)
            else:
                self._offer(window, now_us)
        if step.deadline_us != self._deadline_us:
            self._deadline_us = step.deadline_us
            if step.deadline_us is not None:
                self.engine.schedule(self, step.deadline_us)

    def _offer(self, window: Ready, now_us: int) -> None:
        self._last_us = now_us
        if self._told_us is None:
            self._be_patient()
        trail = Trail(self._trail.id, "", self._trail.hops, self._taint(window.from_us), self._trail.traceparent)
        if self._runs:
            if self._waiting is not None:
                self._replaced += 1
                self._tell(f"the model is busy: a newer window takes the place of one that waited ({self._replaced} so far)", now_us)
            self._waiting = window, trail
        else:
            self._begin_with(window, trail, now_us)

    def _begin_with(self, window: Ready, trail: Trail, now_us: int) -> None:
        about = {"from": format_moment(window.from_us + self.engine.skew_us), "to": format_moment(window.to_us + self.engine.skew_us)}
        message = _Whole("", {"rows": self._windows.plan.rows, **about}, trail=trail, packed=window.values)
        self._begin({_WORK: message}, now_us)

    def _reading(self, found: Message, wall_us: int) -> Reading:
        """A run is shown how long the window is, and given all of it."""
        return Reading(found.value, found.packed if isinstance(found, _Whole) else found.value, None, wall_us)

    # The end of runs

    def ended(self, run: Run, outcome: Outcome, reason: str, now_us: int) -> None:
        """A run is over: the window that waits is next."""
        super().ended(run, outcome, reason, now_us)
        self._fails = outcome is Outcome.FAILED
        self._go_on(now_us)

    def _bury(self, run: Run, reason: str, now_us: int) -> None:
        """Of failures in a row the first is a dead letter: a window is worth nothing later, and the agent's state tells that they go on."""
        if not self._fails:
            super()._bury(run, reason, now_us)

    def cancel(self, run: Run, now_us: int) -> None:
        """Stop a run that is under way; the window that waits is next."""
        super().cancel(run, now_us)
        self._go_on(now_us)

    def retire(self, now_us: int) -> None:
        """End what is under way, and begin nothing any more: the agent is taken out."""
        self._waiting = self._deadline_us = self._told_us = None
        super().retire(now_us)

    def _go_on(self, now_us: int) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not self._runs:
            self._begin_with(*waiting, now_us)
        elif waiting is not None:
            self._waiting = waiting

    # Words

    def _tell(self, reason: str, now_us: int) -> None:
        self.engine.observe(Dropped(now_us, self.agent, f"{self.engine.root}/run/{self.agent}", reason))

    def _note_taint(self, taint: str, now_us: int) -> None:
        for origin in taint.split():
            self._taints[origin] = now_us
        while len(self._taints) > _TAINTS_MAX:
            oldest = min(self._taints, key=self._taints.__getitem__)
            del self._taints[oldest]
            self._taints["others"] = now_us

    def _taint(self, from_us: int) -> str:
        """The origins of untrusted text that are in a window."""
        if self._taints:
            self._taints = {origin: at_us for origin, at_us in self._taints.items() if at_us >= from_us}
        return " ".join(self._taints)


class _Whole(Message, gc=False):
    """A window on its way to its run."""

    packed: array[float] | None = None


_SECONDS_MAX = 1e11
"""As many seconds since the epoch are some three thousand years; milliseconds are more."""


def _scaled(value: object, source: WindowSource) -> object:
    if isinstance(value, bool):
        return value
    number = as_number(value)
    return None if number is None else number * source.factor + source.offset
