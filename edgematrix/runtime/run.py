"""One run of an agent: from an admitted firing to its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from edgematrix.protocol.event import Trail
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.observation import Outcome
from edgematrix.runtime.progress import Progress
from edgematrix.triggers import Firing

__all__ = ["OWN_WORK", "Body", "FailureTeller", "Kept", "Run", "Starter"]

OWN_WORK = "work"
"""How observations call what begins the runs of an agent without trigger groups, as they call a group by its name."""


class Starter(Protocol):
    """Who started a run, and is told of its end: a trigger group in a host."""

    agent: AgentPath
    order: int
    keeps: bool
    """Whether its runs go on after a restart."""

    @property
    def name(self) -> str:
        """The group's; `OWN_WORK` where there is none."""

    def ended(self, run: Run, outcome: Outcome, reason: str, now_us: int) -> None:
        """The run is over."""

    def cancel(self, run: Run, now_us: int) -> None:
        """Stop a run that is under way; one that is over is left alone."""


class Kept(Protocol):
    """What is stored of a run."""

    is_changed: bool
    """Whether that is known already."""

    def touch(self) -> None:
        """It is no longer what it was."""


class Run:
    """What a firing started. Whatever the agent puts out on its behalf follows from `trail`."""

    __slots__ = ("again", "entry", "firing", "number", "of", "over", "runner", "streamed", "trail")

    def __init__(self, runner: Starter, number: int, firing: Firing) -> None:
        self.runner = runner
        self.number = number
        self.firing = firing
        self.trail: Trail = firing.trail
        self.over = False
        self.entry: Kept | None = None
        """What is stored of it; None where nothing is."""
        self.of: Run | None = None
        """The run of which this is an attempt."""
        self.streamed: dict[str, int] | None = None
        """How many pieces of its outputs it has streamed, by port."""
        self.again: Callable[[int], bool] | None = None
        """Tells whether another attempt follows if this one fails now; None where it is the only one."""

    def touched(self) -> None:
        """What it takes to go on with it after a restart is no longer what it was."""
        entry = self.entry if self.of is None else self.of.entry
        if entry is not None and not entry.is_changed:
            entry.touch()

    def end(self, outcome: Outcome, now_us: int, reason: str = "") -> None:
        """Say how it ended; only the first word counts."""
        if not self.over:
            self.over = True
            self.runner.ended(self, outcome, reason, now_us)


class Body(Protocol):
    """What an agent does when one of its groups fires."""

    speaks: bool
    """Whether each run puts something out, or may: then a failure is dead-lettered."""
    leads: bool
    """Whether a run leads to messages of the bus, or may: then it has an id from its beginning."""

    def begin(self, run: Run, now_us: int) -> None:
        """Start the run; call `run.end` when it is over, now or later."""

    def cancel(self, run: Run, now_us: int) -> None:
        """Stop working on the run at once; it is already over."""

    def fail(self, run: Run, reason: str, now_us: int) -> None:
        """Stop working on the run, and end it by a failure."""

    def keep(self, run: Run) -> Progress:
        """How far it is with a run under way.

        Raises:
            StateError: something of it has no stored form.
        """

    def go_on(self, run: Run, progress: Progress, now_us: int) -> None:
        """Take up a run that was under way when the host went down; what is due comes in its turn.

        Nothing is put out or sent, and nobody is told anything, before all runs of the host were taken up.

        Raises:
            StateError: nothing can be made of its progress; nothing has changed then.
        """

    def waits_for(self, runid: str) -> str:
        """What it waits for in the run of this id, in words; empty if there is none, or it does not say."""


@runtime_checkable
class FailureTeller(Protocol):
    """A body that tells of failures on a port of its agent."""

    def tell_failure(self, run: Run, reason: str, member: str, now_us: int) -> None:
        """Put out why a run has failed, and by which member; empty for none."""
