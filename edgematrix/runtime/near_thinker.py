"""Lets an agent that hears sentences ask what is near, in a thread beside the event loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from edgematrix.agents.near import NearSentences
from edgematrix.composition.course import Think, Thought
from edgematrix.errors import ModelError
from edgematrix.models.halt import Halt
from edgematrix.models.near_model import KnownSentences, NearModel
from edgematrix.models.near_wire import Kin, Match, NearestFound
from edgematrix.protocol.duration import SECOND_US
from edgematrix.protocol.ports import Clock
from edgematrix.runtime.code import Code
from edgematrix.runtime.model_threads import ModelThreads, failure_told
from edgematrix.runtime.workshop import Workshop

__all__ = ["NearDesk", "NearThinker", "ScriptedNear", "kin_of"]

WAITING_MAX: Final = 64
"""Sentences that one model has, the one that it works on included."""
_MATCHES: Final = 24
"""Of each text."""


def kin_of(near: NearSentences) -> Kin:
    """The words that are as good as the same, as the model's process is told them."""
    words = near.words
    return Kin(words.things, words.ways, words.opposites, words.weak, words.units)


class NearDesk:
    """Asks a model of what is near, one sentence after the other. The model ends with it."""

    def __init__(self, model: NearModel) -> None:
        self._model = model
        self._threads = ModelThreads(model, "what finds near sentences", "to look at", WAITING_MAX)

    @property
    def trouble(self) -> str:
        """Why the model does not work for now; empty while it does."""
        return self._model.trouble

    async def take(self, known: KnownSentences, texts: Sequence[str], timeout_s: float, halt: Halt) -> NearestFound:
        """The matches of each text.

        Raises:
            ModelError: as `NearModel.found`, or too many wait.
        """
        return await self._threads.take(lambda: self._model.found(known, texts, _MATCHES, timeout_s, halt))

    def close(self) -> None:
        """End the model. Whoever waits for it gets an error."""
        self._threads.close()


class ScriptedNear:
    """In the place of a model, for scenarios: the known sentence that each sentence is near to, one after the other.

    Args:
        script: sentences as rules know them, `{"error": why}`, or null where nothing is near.
    """

    trouble = ""

    def __init__(self, path: str, near: NearSentences, script: Sequence[Any]) -> None:
        self._path = path
        self._near = near
        self._script = iter(tuple(script))

    async def take(self, known: KnownSentences, texts: Sequence[str], timeout_s: float, halt: Halt) -> NearestFound:  # noqa: ARG002 - it waits for nothing
        """What the script says of the longest of the texts; nothing is near to the others.

        Raises:
            ModelError: the script says so, is over, or names a sentence that no rule knows.
        """
        said = next(self._script, {"error": "the script of what is near is over"})
        if isinstance(said, dict):
            raise ModelError(str(said.get("error", "the script gives no sentence")))
        if said is None:
            return NearestFound([[] for _ in texts])
        places = self._near.places_of(str(said))
        if not places:
            raise ModelError(f"no rule of {self._path} knows the sentence {str(said)[:80]!r} of the script")
        longest = max(range(len(texts)), key=lambda place: len(texts[place]))
        whole = [Match(places[0], 1.0, 1.0, 1.0, 1.0, [1.0] * len(texts[longest].split(" ")), 1.0)]
        return NearestFound([whole if place == longest else [] for place in range(len(texts))])

    def close(self) -> None:
        """It holds nothing."""


class NearThinker:
    """A `Thinker` that asks what is near on behalf of one agent: what is found is JSON in the text of the thought.

    Args:
        path: the agent's.
        ails: told, in a line, why the model does not work at all for now; the empty text once it works again.
    """

    def __init__(
        self, path: str, near: NearSentences, desk: NearDesk | ScriptedNear, workshop: Workshop, clock: Clock, ails: Callable[[str], None]
    ) -> None:
        self._path = path
        self._desk = desk
        self._workshop = workshop
        self._clock = clock
        self._ails = ails
        self._known = KnownSentences(near.key, near.exemplars, near.groups, kin_of(near))
        self._code = Code(self._ask, path, object, object, is_async=True)

    def think(
        self,
        asked: Think,
        thought: Callable[[Thought | None, str, int], None],
        heard: Callable[[str, int], None] | None,  # noqa: ARG002 - there are no pieces
    ) -> Callable[[], None]:
        """Ask the model; `thought(thought, error, now_us)` is called once, unless the function that is returned was called before."""
        halt = Halt()

        def over(result: object, error: BaseException | None) -> None:
            now_us = self._clock.now_us()
            self._ails(self._desk.trouble)
            why = "" if error is None else failure_told(error, f"what finds near sentences for {self._path}")
            thought(result if isinstance(result, Thought) else None, why, now_us)

        task = self._workshop.start(self._code, f"near {self._path}", (asked, halt), None, over)

        def stop() -> None:
            halt.now()
            task.cancel()

        return stop

    async def _ask(self, given: tuple[Think, Halt], _context: object) -> Thought:
        asked, halt = given
        began_us = self._clock.now_us()
        found = await self._desk.take(self._known, [turn.content for turn in asked.turns], asked.time_us_max / SECOND_US, halt)
        took_us = self._clock.now_us() - began_us
        return Thought(asked.step, msgspec.json.encode(found.matches).decode(), (), 0, took_us, note="; ".join(found.notes))
