"""Drives one group by hand: messages, time, runs that end, a restart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from edgematrix.protocol.duration import SECOND_US
from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.message import Message
from edgematrix.triggers import (
    Arrival,
    Calendar,
    Cancel,
    ClockStepped,
    DeadLetter,
    Firing,
    Group,
    GroupSpec,
    RunEnded,
    Start,
    Step,
    Tick,
    Trace,
)

SPEC = TypeAdapter(GroupSpec)
START_S = 1_767_225_600  # 2026-01-01T00:00:00Z, a Thursday
UTC = Calendar()


def spec_of(definition: Mapping[str, Any]) -> GroupSpec:
    return SPEC.validate_python(dict(definition))


class Drive:
    """A group and its state. Seconds count from `start_s`; a run takes `run_s` (0: it is over at once, None: it never ends)."""

    def __init__(
        self, definition: Mapping[str, Any], *, calendar: Calendar = UTC, run_s: float | None = 0, start_s: int = START_S, **options: Any
    ) -> None:
        self.definition = definition
        self.spec = spec_of(definition)
        self.group = Group(self.spec, path="home/rule", name="g", calendar=calendar, **options)
        self.filters = {name: TopicFilter.parse(source.topic) for name, source in self.spec.on.items() if source.topic is not None}
        self.run_s = run_s
        self.start_us = start_s * SECOND_US
        self.now_us = self.start_us
        self.fired: list[tuple[float, Firing]] = []
        self.starts: list[tuple[float, int, Firing]] = []
        self.cancelled: list[int] = []
        self.dead: list[DeadLetter] = []
        self.traces: list[Trace] = []
        self.ends: list[tuple[int, int]] = []
        self.store: dict[str, bytes] = {}
        self.deadline_us: int | None = None
        self._take(self.group.start(self.now_us))

    # What happens

    def to(self, at_s: float) -> None:
        """Let time pass; whatever is due comes at its moment, runs that end before timers."""
        to_us = self.start_us + round(at_s * SECOND_US)
        while True:
            moments = [moment for moment in (self.deadline_us, self.ends[0][0] if self.ends else None) if moment is not None]
            if not moments or min(moments) > to_us:
                break
            self.now_us = max(self.now_us, min(moments))
            if self.ends and self.ends[0][0] <= self.now_us:
                self.step(RunEnded(self.ends.pop(0)[1]))
            else:
                self.step(Tick())
        self.now_us = to_us

    def send(self, at_s: float, topic: str, value: Any, *, retained: bool = False, **message: Any) -> Step:
        """A message arrives, after all that is due."""
        self.to(at_s)
        hits = []
        for index, name in enumerate(self.spec.on):
            captures = self.filters[name].captures(topic) if name in self.filters and _matches(self.filters[name], topic) else None
            if captures is not None:
                hits.append((index, captures))
        return self.step(Arrival(Message(topic, value, retained, **message), tuple(hits)))

    def set_clock(self, at_s: float, skew_s: float) -> None:
        self.to(at_s)
        self.step(ClockStepped(round(skew_s * SECOND_US)))

    def end(self, run: int) -> None:
        self.step(RunEnded(run))

    def restart(self, at_s: float, down_s: float = 0, **options: Any) -> None:
        """Kill it, and start it again from what was stored."""
        self.to(at_s)
        self.save()
        self.ends.clear()
        self.now_us += round(down_s * SECOND_US)
        self._take(self.group.resume(self.group.load(self.store), self.now_us, **options))

    def step(self, event: Any) -> Step:
        step = self.group.step(self.state, event, self.now_us)
        self._take(step)
        return step

    def save(self) -> dict[str, bytes | None]:
        parts = self.group.save(self.state)
        for key, data in parts.items():
            if data is None:
                self.store.pop(key, None)
            else:
                self.store[key] = data
        return parts

    # What is seen

    @property
    def at_s(self) -> float:
        return (self.now_us - self.start_us) / SECOND_US

    @property
    def deadline_s(self) -> float | None:
        return None if self.deadline_us is None else (self.deadline_us - self.start_us) / SECOND_US

    def values(self, *names: str) -> list[tuple[Any, ...]]:
        """When it fired, and the values of these sources."""
        return [
            (at, *(None if (reading := firing.sources[name]) is None else reading.value for name in names)) for at, firing in self.fired
        ]

    @property
    def times(self) -> list[float]:
        return [at for at, _ in self.fired]

    def reasons(self) -> list[str]:
        return [trace.reason.value for trace in self.traces]

    def _take(self, step: Step) -> None:
        self.state, self.deadline_us = step.state, step.deadline_us
        self.traces.extend(step.traces)
        over: list[int] = []
        for effect in step.effects:
            if isinstance(effect, Start):
                self.fired.append((self.at_s, effect.firing))
                self.starts.append((self.at_s, effect.run, effect.firing))
                if self.run_s == 0:
                    over.append(effect.run)
                elif self.run_s is not None:
                    self.ends.append((self.now_us + round(self.run_s * SECOND_US), effect.run))
            elif isinstance(effect, Cancel):
                self.cancelled.append(effect.run)
                self.ends = [end for end in self.ends if end[1] != effect.run]
            else:
                self.dead.append(effect)
        for run in over:
            self.step(RunEnded(run))


def _matches(topic_filter: TopicFilter, topic: str) -> bool:
    wanted, levels = topic_filter.subscription.split("/"), topic.split("/")
    if wanted[-1] == "#":
        wanted, levels = wanted[:-1], levels[: len(wanted) - 1]
    return len(wanted) == len(levels) and all(want in ("+", level) for want, level in zip(wanted, levels, strict=True))
