"""What a group hands to its agent when it fires. Everything in it is frozen at that moment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from edgematrix.expression import Timestamp
from edgematrix.protocol.event import Trail
from edgematrix.protocol.message import NO_TRAIL

__all__ = ["NAMES_TAKEN", "READING_SHAPE_NAMES", "Firing", "Reading"]

READING_SHAPE_NAMES: Final = ("value", "payload", "topic", "time")
"""What CEL sees under the name of a source."""

NAMES_TAKEN: Final = ("captures", "key", "missing", "now")
"""What CEL sees beside the sources."""

_NOTHING: Final[dict[str, object]] = dict.fromkeys(READING_SHAPE_NAMES)


class Reading(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one source contributed.

    `value` is as the source's `value:`, `as:` and `aggregate:` made it, `payload` the whole message, `topic` where
    it came in (None for a clock), `time_us` the event's own time, else that of arrival, since the epoch by the wall clock.
    With `keep: all` each is a list, oldest first.
    """

    value: Any = None
    payload: Any = None
    topic: Any = None
    time_us: Any = None

    def scope(self) -> dict[str, object]:
        """What CEL sees under the source's name."""
        time_us = self.time_us
        if type(time_us) is list:
            time: object = [Timestamp(moment_us) for moment_us in time_us]
        else:
            time = None if time_us is None else Timestamp(time_us)
        return {"value": self.value, "payload": self.payload, "topic": self.topic, "time": time}


class Firing(msgspec.Struct, frozen=True, gc=False):
    """One firing of a group.

    `sources` has every source by its name, None where it took no part. `captures` are those of what took part, the
    newest where they differ. `missing` names what a time-out did not wait for. `fired_at_us` goes by the wall clock.
    `trail` is the trails of what took part in one: the most hops, all taints, the run of the first that has one.
    `done` are actions of the group, by their places in `do:`, that have been carried out already, by a board.
    """

    group: str
    key: str | None
    sources: Mapping[str, Reading | None]
    captures: Mapping[str, str] = {}
    missing: tuple[str, ...] = ()
    fired_at_us: int = 0
    trail: Trail = NO_TRAIL
    done: tuple[int, ...] = ()

    def scope(self, now_us: int | None = None) -> dict[str, object]:
        """What CEL conditions and templates see; moments are `Timestamp`s, which are written as RFC 3339 text.

        Args:
            now_us: the moment of the step that reads it, by the wall clock; that of the firing if not given.
        """
        found: dict[str, object] = {name: _NOTHING if reading is None else reading.scope() for name, reading in self.sources.items()}
        found["captures"] = self.captures
        found["key"] = self.key
        found["missing"] = list(self.missing)
        found["now"] = Timestamp(self.fired_at_us if now_us is None else now_us)
        return found
