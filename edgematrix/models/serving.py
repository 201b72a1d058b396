"""The inside of a model's process: its bounds, and its one loop."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import BinaryIO, Protocol

import msgspec

from edgematrix.models.wire import HEAD_BYTES, Answer, Question, Ready, framed, length_of

__all__ = ["Served", "serve"]


class Served(Protocol):
    """A model that is loaded."""

    def pick(self, role: str, prompt: str, choices: Sequence[str]) -> int:
        """The place of the choice. Raises ValueError if the question does not fit."""


def serve(load: Callable[[], Served], *, memory_bytes_max: int, load_s_max: float) -> None:
    """Load a model and answer questions on the pipes 0 and 1 until 0 is closed.

    Args:
        load: loads the model; raises OSError or ValueError if it cannot.
        memory_bytes_max: of address space, where the system can bound it.
        load_s_max: after how long a process that still loads ends itself.
    """
    _bound(memory_bytes_max)
    questions, answers = _pipes()
    _end_after(load_s_max)
    try:
        served = load()
    except (OSError, ValueError, MemoryError) as error:
        _say(answers, Ready(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__))
        return
    _end_after(0)
    _say(answers, Ready())
    while (question := _hear(questions)) is not None:
        _end_after(question.time_s)
        try:
            answer = Answer(question.number, served.pick(question.role, question.prompt, question.choices))
        except ValueError as error:
            answer = Answer(question.number, error=str(error))
        _end_after(0)
        _say(answers, answer)


def _bound(memory_bytes_max: int) -> None:
    try:
        import resource  # noqa: PLC0415 - not on every system
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform.startswith("linux"):  # macOS takes the limit, refuses it, or ignores it
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes_max, memory_bytes_max))


def _pipes() -> tuple[BinaryIO, BinaryIO]:
    """The pipes, taken away from whatever else would print: that goes to the standard error output."""
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return questions, answers


def _end_after(seconds: float) -> None:
    """End this process, whatever it is at, when so much time has passed; 0 takes it back.

    The host ends it before. This is for a process whose host was killed: it cannot hang on for ever.
    """
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _say(answers: BinaryIO, message: Ready | Answer) -> None:
    answers.write(framed(message))
    answers.flush()


def _hear(questions: BinaryIO) -> Question | None:
    head = questions.read(HEAD_BYTES)
    if len(head) < HEAD_BYTES:
        return None
    return msgspec.msgpack.decode(questions.read(length_of(head)), type=Question)
