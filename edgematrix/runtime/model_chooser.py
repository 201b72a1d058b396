"""Lets models pick who speaks next in chats, each in a thread of its own beside the event loop."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from edgematrix.composition.speaker import END
from edgematrix.composition.spec import SpeakerModel
from edgematrix.protocol.ports import Clock, Model
from edgematrix.runtime.code import Code
from edgematrix.runtime.model_threads import ModelThreads, failure_told
from edgematrix.runtime.workshop import Workshop

__all__ = ["ANSWER_S_MAX", "WAITING_MAX", "Choosers", "ModelChooser"]

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

    def __init__(self, name: str, model: Model, threads: ModelThreads, workshop: Workshop, clock: Clock) -> None:
        self._name = name
        self._model = model
        self._threads = threads
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
                chosen("", failure_told(error, f"the model {self._name}"), now_us)

        task = self._workshop.start(self._code, f"model {self._name}", (question, choices), None, over)

        def give_up() -> None:
            task.cancel()

        return give_up

    async def _pick(self, asked: tuple[str, tuple[str, ...]], _context: object) -> str:
        question, choices = asked
        role = f"You lead a discussion. You answer with one name: {', '.join(choices)}."
        return await self._threads.take(partial(self._model.choose, role, question, choices, ANSWER_S_MAX))


class Choosers:
    """Makes the chooser of each chat of a host. Chats that name the same file share one model.

    Args:
        folder: where the path of a model's file begins.
    """

    def __init__(self, clock: Clock, folder: Path) -> None:
        self._clock = clock
        self._folder = folder
        self._models: dict[Path | None, tuple[Model, ModelThreads]] = {}

    def __call__(self, spec: SpeakerModel, workshop: Workshop) -> ModelChooser:
        """Make one; nothing of a model is loaded yet.

        Raises:
            ModelError: the model, or what runs it, is not installed.
        """
        if spec.provider == "fake":
            from edgematrix.models.fake import FakeModel  # noqa: PLC0415 - for tests

            fake = FakeModel(spec.script, END)
            return ModelChooser("fake", fake, _threads("fake", fake), workshop, self._clock)
        from edgematrix.models.llama_model import LlamaModel, find_model  # noqa: PLC0415 - a chat with a fake does not need it

        file = find_model(spec.model, self._folder)
        if file not in self._models:
            made = LlamaModel(spec.model, file)
            self._models[file] = made, _threads(spec.model, made)
        model, threads = self._models[file]
        return ModelChooser(spec.model, model, threads, workshop, self._clock)

    def close(self) -> None:
        """End every model. Whoever waits for one gets an error."""
        for _, threads in self._models.values():
            threads.close()
        self._models.clear()


def _threads(name: str, model: Model) -> ModelThreads:
    return ModelThreads(model, f"the model {name}", "questions to answer", WAITING_MAX)
