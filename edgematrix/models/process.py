"""A model's process, as the host has it: started when it is first asked, ended when it hangs, started again within bounds."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import IO, Final, TypeVar

import msgspec

from edgematrix.errors import ModelError
from edgematrix.models.asked import NOBODY, Asked, PieceHeard, answer_in
from edgematrix.models.halt import Halt
from edgematrix.models.waker import Waker
from edgematrix.models.wire import Answer, Ready, Request, framed

__all__ = ["FAILURES_MAX", "REST_S", "STOP_S_MAX", "ModelProcess"]

FAILURES_MAX: Final = 3
"""After so many failures in a row it rests before it is started again."""
REST_S: Final = 60.0
STOP_S_MAX: Final = 0.7
"""How long a process that was told to stop may go on; then it is ended."""
_GRACE_S: Final = 5.0
"""How much later than the host a process ends itself."""
_LAST_WORDS_BYTES_MAX: Final = 2_000
_READ_BYTES: Final = 65_536
_CHATTER: Final = 64
_PIPE_BYTES: Final = 60_000
"""What a pipe takes at once, if nothing is in it."""

T = TypeVar("T", bound=msgspec.Struct)


class ModelProcess:
    """Asks a process that speaks as `wire` says, one question at a time. Needs pipes that can be waited for, so no Windows.

    Args:
        name: of the model, for errors.
        words: the command.
        load_s_max: how long it may take until the process is ready.
        environment: variables that it has besides those of this process.
    """

    def __init__(self, name: str, words: Sequence[str], *, load_s_max: float, environment: dict[str, str] | None = None) -> None:
        self._name = name
        self._words = list(words)
        self._load_s_max = load_s_max
        # It finds the same modules, wherever it is started.
        self._environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **(environment or {})}
        self._asking = threading.Lock()
        self._changing = threading.Lock()
        """Held while a process is started or taken down, so that `close` misses none."""
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._number = 0
        self._failures = 0
        self._last_failure = ""
        self._heard = bytearray()
        self._rests_until_s = 0.0

    @property
    def pid(self) -> int | None:
        """The process; None while there is none."""
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    @property
    def rests_s(self) -> float:
        """For how long it is not asked, since it failed again and again; 0 while it may be asked."""
        left_s = self._rests_until_s - time.monotonic()
        return left_s if self._failures >= FAILURES_MAX and left_s > 0 else 0.0

    @property
    def trouble(self) -> str:
        """Why it is not asked for now: it failed again and again, the last time so. Empty while it may be asked."""
        return f"failed {self._failures} times in a row, the last time so: {self._last_failure}" if self.rests_s else ""

    def ask(
        self,
        question: msgspec.Struct,
        answer: type[T],
        timeout_s: float,
        *,
        fits: Callable[[T], bool] | None = None,
        piece: type[msgspec.Struct] | None = None,
        heard: PieceHeard | None = None,
        halt: Halt | None = None,
    ) -> T:
        """Ask, and wait for the answer. The process is started first if it does not run; that does not count for the time-out.

        Args:
            question: what is asked, with a tag if the process takes several kinds.
            answer: what an answer is.
            timeout_s: how long it may take.
            fits: whether an answer is one to this question.
            piece: what a piece is; needed if the process says any.
            heard: is called with each piece, in the thread that asks.
            halt: lets another thread stop it.

        Raises:
            ModelError: it does not start, hangs, died, or says what is no answer; it is ended, and the next question starts it anew.
                Or it was stopped, which costs it nothing where it stops by itself within `STOP_S_MAX`.
        """
        with self._asking:
            self._number += 1
            number = self._number
            try:
                frame = framed(Request(number, msgspec.Raw(msgspec.msgpack.encode(question)), timeout_s + _GRACE_S))
            except ValueError as error:
                raise self._error(f"is asked too much: {error}") from None
            self._refuse_while_resting()
            asked = Asked(number, frame, timeout_s, piece, heard, halt)
            try:
                found = self._exchange(self._started(), asked)
                if not isinstance(found, Answer) or found.number != number:
                    raise self._error("gave what is no answer to the question")
                result = None if found.error or asked.is_stopped else self._result(found, answer, fits)
            except BaseException as error:
                self._end()
                if not asked.is_stopped:
                    self._note_failure(error)
                raise
            if asked.is_stopped:
                raise self._error("was stopped")
            self._failures = 0
            if result is None:
                raise self._error(f"cannot answer: {found.error}")
            return result

    # Without waiting: for whoever has an event loop, and questions that are answered in less time than it takes to wake a thread

    def begin(self, question: msgspec.Struct, timeout_s: float) -> int | None:
        """Say a question where the process runs and has nothing else to do.

        Returns:
            The pipe on which the answer comes: `hear` is called once it can be read from, or `give_up`. None if the question cannot be
            said like this, but has to be asked.
        """
        process = self._process
        if process is None or self.rests_s or not self._asking.acquire(blocking=False):
            return None
        self._number += 1
        try:
            frame = framed(Request(self._number, msgspec.Raw(msgspec.msgpack.encode(question)), timeout_s + _GRACE_S))
        except ValueError:
            frame = b""
        if not 0 < len(frame) <= _PIPE_BYTES or process is not self._process:
            self._asking.release()
            return None
        self._heard.clear()
        stdin, stdout, _ = _pipes(process)
        written = _written(stdin.fileno(), memoryview(frame))
        if written != len(frame):  # nobody reads there any more, or never did: it is of no use
            self._end()
            self._asking.release()
            return None
        return stdout.fileno()

    def hear(self, answer: type[T], *, fits: Callable[[T], bool] | None = None) -> T | None:
        """What there is to hear of the answer; None if there is more to come.

        Raises:
            ModelError: as `ask`.
        """
        process = self._process
        told = bytearray()
        try:
            if process is None:
                raise self._error("is closed")
            _, stdout, stderr = _pipes(process)
            if self._number % _CHATTER == 0:  # so that what it chatters does not stop it
                _read_into(stderr.fileno(), told)
            if _read_into(stdout.fileno(), self._heard) == 0:
                raise self._died(process, told)
            try:
                found = answer_in(self._heard, NOBODY)
            except ValueError as error:
                raise self._error(f"gave what is no answer: {error}", told) from None
            if found is None:
                return None
            if not isinstance(found, Answer) or found.number != self._number:
                raise self._error("gave what is no answer to the question")
            result = None if found.error else self._result(found, answer, fits)
        except ModelError as error:
            self._fail(error)
            raise
        self._failures = 0
        self._asking.release()
        if result is None:
            raise self._error(f"cannot answer: {found.error}")
        return result

    def give_up(self, reason: str) -> ModelError:
        """Wait no longer for the answer to a question that was begun: the process is ended. The error that tells why."""
        error = self._error(reason)
        self._fail(error)
        return error

    def _fail(self, error: ModelError) -> None:
        self._end()
        self._note_failure(error)
        self._asking.release()

    def _note_failure(self, error: BaseException) -> None:
        self._failures += 1
        self._last_failure = str(error)
        self._rests_until_s = time.monotonic() + REST_S

    def close(self) -> None:
        """End the process, for good; whoever waits for an answer gets an error."""
        with self._changing:
            self._closed = True
            if self._process is not None:
                self._process.kill()
        with self._asking:
            self._end()

    # The process

    def _refuse_while_resting(self) -> None:
        left_s = self.rests_s
        if left_s:
            raise ModelError(f"the model {self._name} failed {self._failures} times in a row; it is not asked for {left_s:.0f} s more")

    def _started(self) -> subprocess.Popen[bytes]:
        process = self._process
        if process is not None and process.poll() is None:
            return process
        self._end()
        with self._changing:
            if self._closed:
                raise self._error("is closed")
            try:
                # The words are ours. A terminal's Ctrl-C is for the host, hence the session.
                process = self._process = subprocess.Popen(  # noqa: S603
                    self._words,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    bufsize=0,
                    env=self._environment,
                    start_new_session=True,
                )
            except OSError as error:
                raise self._error(f"has no process: {error}") from error
        for pipe in _pipes(process):
            os.set_blocking(pipe.fileno(), False)
        ready = self._exchange(process, Asked(0, b"", self._load_s_max))
        if not isinstance(ready, Ready):
            raise self._error("gave what is no answer")
        if ready.error:
            raise self._error(f"cannot be loaded: {ready.error}")
        return process

    def _end(self) -> None:
        with self._changing:
            process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in _pipes(process):
                with suppress(OSError):
                    pipe.close()

    # Talking

    def _exchange(self, process: subprocess.Popen[bytes], asked: Asked) -> Ready | Answer:
        """Say what there is to say, and hear all until the answer."""
        heard, told = bytearray(), bytearray()
        until_s = time.monotonic() + asked.timeout_s
        with Waker(asked.halt) as waker, selectors.DefaultSelector() as selector:
            stdin, stdout, stderr = _pipes(process)
            selector.register(stdout, selectors.EVENT_READ, heard)
            selector.register(stderr, selectors.EVENT_READ, told)
            if asked.left:
                selector.register(stdin, selectors.EVENT_WRITE)
            if waker.pipe is not None:
                selector.register(waker.pipe, selectors.EVENT_READ)
            while True:
                wait_s = until_s - time.monotonic()
                if wait_s <= 0:
                    raise self._late(asked, told)
                for key, _ in selector.select(wait_s):
                    if key.fileobj is stdin:
                        asked.left = asked.left[_written(key.fd, asked.left) :]
                        if not asked.left:
                            selector.unregister(stdin)
                    elif key.fd == waker.pipe:
                        until_s = min(until_s, time.monotonic() + STOP_S_MAX)
                        _stop(asked, selector, key.fd, stdin)
                    elif _read_into(key.fd, key.data) == 0:
                        selector.unregister(key.fileobj)
                        if key.fileobj is stdout:
                            raise self._died(process, told)
                del told[:-_LAST_WORDS_BYTES_MAX]
                try:
                    message = answer_in(heard, asked)
                except ValueError as error:  # that of msgspec is one
                    raise self._error(f"gave what is no answer: {error}", told) from None
                if message is not None:
                    return message

    def _late(self, asked: Asked, told: bytearray) -> ModelError:
        if asked.is_stopped:
            return self._error("was stopped")
        return self._error(f"did not {'answer' if asked.number else 'start'} within {asked.timeout_s:g} s", told)

    def _result(self, found: Answer, kind: type[T], fits: Callable[[T], bool] | None) -> T:
        try:
            result = msgspec.msgpack.decode(found.body, type=kind)
        except ValueError as error:
            raise self._error(f"gave what is no answer: {error}") from None
        if fits is not None and not fits(result):
            raise self._error("gave what is no answer to the question")
        return result

    def _died(self, process: subprocess.Popen[bytes], told: bytearray) -> ModelError:
        if self._closed:
            return self._error("is closed")
        with suppress(subprocess.TimeoutExpired):
            process.wait(1.0)
        stderr = _pipes(process)[2]
        while _read_into(stderr.fileno(), told):
            del told[:-_LAST_WORDS_BYTES_MAX]
        code = process.poll()
        if code is None:
            return self._error("closed its pipe", told)
        return self._error(f"ended by signal {-code}" if code < 0 else f"ended with code {code}", told)

    def _error(self, what: str, told: bytes | bytearray = b"") -> ModelError:
        words = told[-_LAST_WORDS_BYTES_MAX:].decode(errors="replace").strip().splitlines()
        last = f"; it said last: {words[-1][:200]}" if words else ""
        return ModelError(f"the model {self._name} {what}{last}")


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
    assert process.stdin is not None  # noqa: S101 - each was asked for
    assert process.stdout is not None  # noqa: S101
    assert process.stderr is not None  # noqa: S101
    return process.stdin, process.stdout, process.stderr


def _written(pipe: int, data: memoryview) -> int:
    try:
        return os.write(pipe, data)
    except BlockingIOError:
        return 0
    except BrokenPipeError:
        return len(data)  # it has ended; the other pipe tells so


def _read_into(pipe: int, heard: bytearray) -> int | None:
    """Read what is there, and say how much that was: 0 at the end, None where nothing is there now."""
    try:
        data = os.read(pipe, _READ_BYTES)
    except BlockingIOError:
        return None
    heard += data
    return len(data)


def _stop(asked: Asked, selector: selectors.BaseSelector, waker: int, stdin: IO[bytes]) -> None:
    selector.unregister(waker)
    asked.stop()
    if stdin not in selector.get_map():
        selector.register(stdin, selectors.EVENT_WRITE)
