"""What a course under way has around it: the members that it may let work, and whoever else it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from edgematrix.composition.course import Composition, Think, Thought
from edgematrix.protocol.event import Trail
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.engine import Engine
from edgematrix.runtime.questions import Questions
from edgematrix.runtime.run import Run

__all__ = ["Chooser", "Ensemble", "Member", "Thinker"]


class Member(msgspec.Struct, frozen=True):
    """An agent that a composite lets work. `input` is the port that takes what names none.

    `deadline_us` is set where it runs elsewhere and is to answer within that time, and `grace_us` where it tells by itself that it
    did not.
    """

    path: AgentPath
    input: str
    deadline_us: int | None = None
    grace_us: int = 0


class Chooser(Protocol):
    """A model that picks from names alone."""

    def choose(self, question: str, choices: tuple[str, ...], chosen: Callable[[str, str, int], None]) -> Callable[[], None]:
        """Call `chosen(choice, error, now_us)` once, on the event loop; the function that is returned gives up waiting."""


class Thinker(Protocol):
    """A language model that talks."""

    def think(
        self, asked: Think, thought: Callable[[Thought | None, str, int], None], heard: Callable[[str, int], None] | None
    ) -> Callable[[], None]:
        """Call `thought(thought, error, now_us)` once, on the event loop; the function that is returned stops the model.

        `heard(text, now_us)` is called with each piece of the text before; None where nobody wants them.
        """


class Ensemble(Protocol):
    """One composite: what its courses share."""

    @property
    def engine(self) -> Engine:
        """Who carries its calls."""

    @property
    def composition(self) -> Composition:
        """What new runs follow."""

    @property
    def members(self) -> Mapping[str, Member]:
        """By the names that the composition uses."""

    @property
    def questions(self) -> Questions | None:
        """Where people are asked; None where this composite asks nobody."""

    @property
    def chooser(self) -> Chooser | None:
        """The model of a chat that needs one."""

    @property
    def thinker(self) -> Thinker | None:
        """The model of an agent that is one."""

    @property
    def is_placing(self) -> bool:
        """Whether its courses share places, so that where each stands is kept, and not what it was told."""

    @property
    def gone(self) -> Mapping[AgentPath, str]:
        """Members elsewhere that are known not to be there, and why."""

    def over(self, runid: str) -> None:
        """The course of this run is over."""

    def wake(self, runids: tuple[str, ...], now_us: int) -> None:
        """Tell `Go` to the courses of these runs."""

    def put_out_failure(self, run: Run, reason: str, member: str, trail: Trail, now_us: int) -> None:
        """Put out on `error` why a run has failed."""
