"""The models that a course has asked, until they have answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from edgematrix.composition.course import Choose, Chosen, Event, Failed, Saying, Think, Thought
from edgematrix.runtime.engine import ANSWER
from edgematrix.runtime.ensemble import Ensemble
from edgematrix.runtime.run import Run

__all__ = ["Asker", "Consultation"]


class Asker(Protocol):
    """A course under way."""

    run: Run

    def take(self, event: Event, now_us: int) -> None:
        """Let the course know what has happened."""


class Consultation:
    """Those of one course.

    Args:
        asker: hears the answers.
    """

    __slots__ = ("_asker", "_body", "_open")

    def __init__(self, asker: Asker, body: Ensemble) -> None:
        self._asker = asker
        self._body = body
        self._open: dict[int, Callable[[], None]] = {}
        """What gives a question up, by its step."""

    def choose(self, effect: Choose, now_us: int) -> None:
        """Let a model choose."""
        chooser, number = self._body.chooser, effect.step
        if chooser is None:
            self._asker.take(Failed(number, "no model chooses here"), now_us)
            return

        def chosen(choice: str, error: str, now_us: int) -> None:
            self._over(number, Failed(number, error) if error else Chosen(number, choice), now_us)

        self._open[number] = chooser.choose(effect.question, effect.choices, chosen)

    def think(self, effect: Think, now_us: int) -> None:
        """Let a model think; what it says meanwhile is streamed, where its composition wants that."""
        thinker, number = self._body.thinker, effect.step
        if thinker is None:
            self._asker.take(Failed(number, "no model is here"), now_us)
            return

        def thought(found: Thought | None, error: str, now_us: int) -> None:
            self._over(number, Failed(number, error) if found is None else found, now_us)

        composition, run = self._body.composition, self._asker.run
        heard = self._said if isinstance(composition, Saying) and composition.says_pieces else None
        if run.streamed is not None:
            run.streamed.pop(ANSWER, None)
        self._open[number] = thinker.think(effect, thought, heard)

    def give_up(self) -> None:
        """Nobody waits for their answers any more."""
        for give_up in self._open.values():
            give_up()

    def _over(self, number: int, event: Event, now_us: int) -> None:
        self._open.pop(number, None)
        self._asker.take(event, now_us)
        self._body.engine.settle(now_us)

    def _said(self, text: str, now_us: int) -> None:
        """Stream a piece of what the model says."""
        if not self._asker.run.over:
            self._body.engine.streams.put_out(self._asker.run, ANSWER, text, now_us)
            self._body.engine.settle(now_us)
