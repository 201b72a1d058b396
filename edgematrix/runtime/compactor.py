"""Observations made small enough to be kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from edgematrix.runtime.abridgement import abridged, extent, shortened
from edgematrix.runtime.account import TEXT_LENGTH_MAX
from edgematrix.runtime.observation import DeadLettered, Dropped, Emitted, Fired, Noted, Observation, RunEnded, StepBegan, StepEnded
from edgematrix.triggers import Firing, Reading

__all__ = ["KEPT_LENGTH_MAX", "Compactor"]

KEPT_LENGTH_MAX = 2_000
"""A longer value, in characters of its JSON text, about, is kept as the beginning of that text."""


class Compactor:
    """Returns the observation itself where it is small, else one whose long values are cut.

    What a step gives is what the next one gets, and what the run of that is begun with: so the value that came last is remembered
    with its short form, and judged once.
    """

    __slots__ = ("_brief", "_value")

    def __init__(self) -> None:
        self._value: object = None
        self._brief: object = None

    def __call__(self, seen: Observation) -> Observation:
        """Make one small."""
        make = _MAKE.get(type(seen))
        return seen if make is None else make(self, seen)

    def brief(self, value: object) -> object:
        """The value itself if it is small, else the beginning of its text."""
        kind = type(value)
        if kind is int or kind is bool or kind is float or value is None:
            return value
        if value is self._value:
            return self._brief
        if kind is str and len(value) <= KEPT_LENGTH_MAX:  # type: ignore[arg-type]  # just looked at
            return value
        if (kind is dict or kind is list) and extent(value, KEPT_LENGTH_MAX) <= KEPT_LENGTH_MAX:
            brief = value
        else:
            brief = abridged(value, KEPT_LENGTH_MAX)
        self._value, self._brief = value, brief
        return brief

    def _fired(self, seen: Fired) -> Fired:
        """The payload that a value was taken from stays only where it is small too."""
        firing = seen.firing
        for reading in firing.sources.values():
            if reading is not None and not self._is_small(reading):
                break
        else:
            return seen
        sources = {name: None if reading is None else self._reading(reading) for name, reading in firing.sources.items()}
        kept = Firing(firing.group, firing.key, sources, missing=firing.missing, fired_at_us=firing.fired_at_us)
        return Fired(seen.at_us, seen.path, seen.group, seen.run, kept, seen.runid)

    def _step_began(self, seen: StepBegan) -> StepBegan:
        for _, value in seen.inputs:
            if self.brief(value) is not value:
                return msgspec.structs.replace(seen, inputs=tuple((port, self.brief(value)) for port, value in seen.inputs))
        return seen

    def _emitted(self, seen: Emitted) -> Emitted:
        brief = self.brief(seen.value)
        return seen if brief is seen.value else msgspec.structs.replace(seen, value=brief)

    def _reasoned(self, seen: RunEnded | DeadLettered | Dropped) -> Observation:
        if len(seen.reason) <= TEXT_LENGTH_MAX:
            return seen
        return msgspec.structs.replace(seen, reason=shortened(seen.reason, TEXT_LENGTH_MAX))

    def _noted(self, seen: Noted) -> Noted:
        if not isinstance(seen.what, str) or len(seen.what) <= TEXT_LENGTH_MAX:
            return seen
        return msgspec.structs.replace(seen, what=shortened(seen.what, TEXT_LENGTH_MAX))

    def _step_ended(self, seen: StepEnded) -> StepEnded:
        small = len(seen.reason) <= TEXT_LENGTH_MAX
        for value in seen.outputs.values():
            small = small and self.brief(value) is value
        if small:
            return seen
        outputs = {port: self.brief(value) for port, value in seen.outputs.items()}
        return msgspec.structs.replace(seen, outputs=outputs, reason=shortened(seen.reason, TEXT_LENGTH_MAX))

    def _is_small(self, reading: Reading) -> bool:
        value, payload, topic = reading.value, reading.payload, reading.topic
        if self.brief(value) is not value or (payload is not value and self.brief(payload) is not payload):
            return False
        return topic is None or type(topic) is str or self.brief(topic) is topic

    def _reading(self, reading: Reading) -> Reading:
        return Reading(self.brief(reading.value), None, self.brief(reading.topic), reading.time_us)


_MAKE: dict[type, Callable[[Compactor, Any], Observation]] = {
    Fired: Compactor._fired,  # noqa: SLF001 - its own
    StepBegan: Compactor._step_began,  # noqa: SLF001
    StepEnded: Compactor._step_ended,  # noqa: SLF001
    Emitted: Compactor._emitted,  # noqa: SLF001
    Noted: Compactor._noted,  # noqa: SLF001
    RunEnded: Compactor._reasoned,  # noqa: SLF001
    DeadLettered: Compactor._reasoned,  # noqa: SLF001
    Dropped: Compactor._reasoned,  # noqa: SLF001
}
