"""Lets models pick who speaks next in chats, each in a thread of its own beside the event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

from edgematrix.composition.speaker import END
from edgematrix.composition.spec import SpeakerModel
from edgematrix.errors import EdgeMatrixError, ModelError
from edgematrix.protocol.ports import Clock, Model
from edgematrix.runtime.code import Code
from edgematrix.runtime.workshop import Workshop

__all__ = ["ANSWER_S_MAX", "WAITING_MAX", "Choosers", "ModelChooser"]

_log = logging.getLogger(__name__)

ANSWER_S_MAX: Final = 60.0
"""How long a model may take for one answer."""
WAITING_MAX: Final = 64
"""Questions that one model has, the one that it works on included."""


class ModelChooser:
    """A `Chooser` that asks a model, one question after the other.

    Args:
        name: of the model.
        workshop: which the tasks belong to, so that they end with the host.
    """

    def __init__(self, name: str, model: Model, desk: _Desk, workshop: Workshop, clock: Clock) -> None:
        self._name = name
        self._model = model
        self._desk = desk
        self._workshop = workshop
        self._clock = clock
        self._code = Code(self._pick, name, object, object, is_async=True)

    def choose(self, question: str, choices: tuple[str, ...], chosen: Callable[[str, str, int], None]) -> Callable[[], None]:
        """Ask the model; `chosen(choice, error, now_us)` is called once, unless the function that is returned was called before.

        A question that is given up while the model works on it is worked on to its end.
        """

        def over(result: object, error: BaseException | None) -> None:
            now_us = self._clock.now_us()
            if error is None:
                chosen(str(result), "", now_us)
            else:
                chosen("", self._told(error), now_us)

        task = self._workshop.start(self._code, f"model {self._name}", (question, choices), None, over)

        def give_up() -> None:
            task.cancel()

        return give_up

    async def _pick(self, asked: tuple[str, tuple[str, ...]], _context: object) -> str:
        question, choices = asked
        role = f"You lead a discussion. You answer with one name: {', '.join(choices)}."
        return await self._desk.take(partial(self._model.choose, role, question, choices, ANSWER_S_MAX), self._name)

    def _told(self, error: BaseException) -> str:
        if isinstance(error, EdgeMatrixError):
            return str(error)
        _log.error("the model %s failed", self._name, exc_info=error)
        return f"{type(error).__name__}: {error}"


class _Desk:
    """The one thread that asks a model, and how many wait for it."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._waiting = 0

    async def take(self, ask: Callable[[], str], name: str) -> str:
        if self._waiting >= WAITING_MAX:
            raise ModelError(f"the model {name} has {self._waiting} questions to answer already")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, ask)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)


class Choosers:
    """Makes the chooser of each chat of a host. Chats that name the same file share one model.

    Args:
        folder: where the path of a model's file begins.
    """

    def __init__(self, clock: Clock, folder: Path) -> None:
        self._clock = clock
        self._folder = folder
        self._desks: dict[Path | None, tuple[Model, _Desk]] = {}

    def __call__(self, spec: SpeakerModel, workshop: Workshop) -> ModelChooser:
        """Make one; nothing of a model is loaded yet.

        Raises:
            ModelError: the model, or what runs it, is not installed.
        """
        if spec.provider == "fake":
            from edgematrix.models.fake import FakeModel  # noqa: PLC0415 - for tests

            return ModelChooser("fake", FakeModel(spec.script, END), _Desk(), workshop, self._clock)
        from edgematrix.models.llama_model import LlamaModel, find_model  # noqa: PLC0415 - a chat with a fake does not need it

        file = find_model(spec.model, self._folder)
        if file not in self._desks:
            self._desks[file] = LlamaModel(spec.model, file), _Desk()
        model, desk = self._desks[file]
        return ModelChooser(spec.model, model, desk, workshop, self._clock)

    def close(self) -> None:
        """End every model. Whoever waits for one gets an error."""
        for model, desk in self._desks.values():
            model.close()
            desk.close()
        self._desks.clear()
