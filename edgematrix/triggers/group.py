"""One trigger group as a pure state machine (docs/spec/triggers.md)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgematrix.triggers.arrival import Arrival
    from edgematrix.triggers.calendar import Calendar
    from edgematrix.triggers.signal import ClockStepped, RunEnded, Tick
    from edgematrix.triggers.spec import GroupSpec
    from edgematrix.triggers.state import GroupState
    from edgematrix.triggers.step import Step

__all__ = ["Group"]


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

    def __init__(
        self, spec: GroupSpec, *, path: str, name: str, calendar: Calendar, key_of_run: bool = False, fields: Mapping[str, Collection[str]] | None = None
    ) -> None:
        self.spec = spec
        self.path = path
        self.name = name
        self.calendar = calendar

    def start(self, now_us: int) -> Step:
        """A fresh state."""
        raise NotImplementedError

    def step(self, state: GroupState, event: Arrival | Tick | RunEnded | ClockStepped, now_us: int) -> Step:
        """Take one event. The state given is consumed."""
        raise NotImplementedError

    def save(self, state: GroupState) -> dict[str, bytes | None]:
        """What has changed since the last save, by part."""
        raise NotImplementedError

    def load(self, parts: Mapping[str, bytes]) -> GroupState:
        """The state that `save` wrote.

        Raises:
            StateError: it is damaged, or of an unknown version.
        """
        raise NotImplementedError

    def resume(self, state: GroupState, now_us: int) -> Step:
        """Go on after a restart."""
        raise NotImplementedError
