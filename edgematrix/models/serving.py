"""The inside of a model's process: its bounds, and its one loop."""

from __future__ import annotations

import gc
import os
import select
import signal
import sys
from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec

from edgematrix.models.wire import HEAD_BYTES, Answer, Heard, Piece, Ready, Request, Said, Stop, framed, length_of

__all__ = ["Asking", "Served", "serve"]

_READ_BYTES: Final = 65_536
_SAID: Final = msgspec.msgpack.Decoder(Said)
_setitimer: Final = getattr(signal, "setitimer", None)
"""Not on every system."""


class Asking(Protocol):
    """The request that a model works on, as it sees it."""

    @property
    def is_stopped(self) -> bool:
        """Whether nobody waits for the answer any more. To be looked at between two tokens, say; a look costs some microseconds."""

    def say(self, piece: msgspec.Struct) -> None:
        """Say a piece of the answer."""


class Served(Protocol):
    """A model that is loaded."""

    def answer(self, question: Any, asking: Asking) -> msgspec.Struct:
        """Answer a question of the type that `serve` was told. Raises ValueError if the question does not fit."""


def serve(load: Callable[[], Served], question: Any, *, memory_bytes_max: int, load_s_max: float) -> None:
    """Load a model and answer questions on the pipes 0 and 1 until 0 is closed.

    Args:
        load: loads the model; raises OSError or ValueError if it cannot.
        question: the type of questions: a struct, or a union of structs with tags.
        memory_bytes_max: of address space, where the system can bound it.
        load_s_max: after how long a process that still loads ends itself.
    """
    _bound(memory_bytes_max)
    ears, answers = _pipes()
    if _setitimer is not None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    _end_after(load_s_max)
    try:
        served = load()
    except (OSError, ValueError, MemoryError) as error:
        _say(answers, Ready(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__))
        return
    _end_after(0)
    gc.collect()
    gc.freeze()  # what was loaded stays: no collection needs to look at it again
    _say(answers, Ready())
    decoder = msgspec.msgpack.Decoder(question)
    while (said := ears.next()) is not None:
        if isinstance(said, Request):  # a stop that came too late has nothing to stop
            _end_after(said.time_s)
            _say(answers, _answer(served, decoder.decode(said.body), _Asking(said.number, ears, answers)))
            _end_after(0)


def _answer(served: Served, question: Any, asking: _Asking) -> Answer:
    try:
        return Answer(asking.number, msgspec.Raw(msgspec.msgpack.encode(served.answer(question, asking))))
    except ValueError as error:
        return Answer(asking.number, error=str(error) or type(error).__name__)


class _Ears:
    """Messages of the host, read without waiting where that is wanted."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._heard = b""
        self.is_closed = False

    def next(self) -> Said | None:
        """The next message; None at the end."""
        while not self.is_closed:
            message = self._taken()
            if message is not None:
                return message
            self._read()
        return None

    def there(self) -> Said | None:
        """A message if one is there now."""
        while not self.is_closed and select.select([self._pipe], [], [], 0)[0]:
            self._read()
        return self._taken()

    def _read(self) -> None:
        data = os.read(self._pipe, _READ_BYTES)
        self.is_closed = not data
        self._heard = self._heard + data if self._heard else data

    def _taken(self) -> Said | None:
        heard = self._heard
        if len(heard) < HEAD_BYTES or len(heard) < (size := HEAD_BYTES + length_of(heard)):
            return None
        message: Said = _SAID.decode(memoryview(heard)[HEAD_BYTES:size])
        self._heard = heard[size:]
        return message


class _Asking:
    """One request under way."""

    def __init__(self, number: int, ears: _Ears, answers: int) -> None:
        self.number = number
        self._ears = ears
        self._answers = answers
        self._is_stopped = False

    @property
    def is_stopped(self) -> bool:
        """Whether nobody waits any more: the host said so, or is gone."""
        if not self._is_stopped:
            said = self._ears.there()
            self._is_stopped = self._ears.is_closed or (isinstance(said, Stop) and said.number == self.number)
        return self._is_stopped

    def say(self, piece: msgspec.Struct) -> None:
        """Say a piece."""
        _say(self._answers, Piece(self.number, msgspec.Raw(msgspec.msgpack.encode(piece))))


def _bound(memory_bytes_max: int) -> None:
    try:
        import resource  # noqa: PLC0415 - not on every system
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform.startswith("linux"):  # macOS takes the limit, refuses it, or ignores it
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes_max, memory_bytes_max))


def _pipes() -> tuple[_Ears, int]:
    """The pipes, taken away from whatever else would print: that goes to the standard error output."""
    ears, answers = _Ears(os.dup(0)), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return ears, answers


def _end_after(seconds: float) -> None:
    """End this process, whatever it is at, when so much time has passed; 0 takes it back.

    The host ends it before. This is for a process whose host was killed: it cannot hang on for ever.
    """
    if _setitimer is not None:
        _setitimer(signal.ITIMER_REAL, seconds)


def _say(answers: int, message: Heard) -> None:
    left = memoryview(framed(message))
    while left:
        left = left[os.write(answers, left) :]
