"""A model's process, as the host has it: started when it is first asked, ended when it hangs, started again within bounds."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, Final, TypeVar

import msgspec

from edgematrix.errors import ModelError
from edgematrix.models.wire import HEAD_BYTES, Answer, Question, Ready, framed, length_of

__all__ = ["FAILURES_MAX", "REST_S", "ModelProcess"]

FAILURES_MAX: Final = 3
"""After so many failures in a row it rests before it is started again."""
REST_S: Final = 60.0
_GRACE_S: Final = 5.0
"""How much later than the host a process ends itself."""
_LAST_WORDS_BYTES_MAX: Final = 2_000
_READ_BYTES: Final = 65_536

_Message = TypeVar("_Message", Ready, Answer)


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
        self._rests_until_s = 0.0

    @property
    def pid(self) -> int | None:
        """The process; None while there is none."""
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    def ask(self, role: str, prompt: str, choices: Sequence[str], timeout_s: float) -> int:
        """Ask, and wait for the place of the choice. The process is started first if it does not run.

        Raises:
            ModelError: it does not start, hangs, died, or says what is no answer; it is ended, and the next question starts it anew.
        """
        with self._asking:
            self._number += 1
            question = Question(self._number, role, prompt, tuple(choices), timeout_s + _GRACE_S)
            try:
                frame = framed(question)
            except ValueError as error:
                raise self._error(f"is asked too much: {error}") from None
            self._refuse_while_resting()
            try:
                answer = self._exchange(self._started(), frame, Answer, timeout_s)
                if answer.number != question.number or not 0 <= answer.choice < len(choices):
                    raise self._error("gave what is no answer to the question")
            except ModelError:
                self._end()
                self._failures += 1
                self._rests_until_s = time.monotonic() + REST_S
                raise
            self._failures = 0
            if answer.error:
                raise self._error(f"cannot answer: {answer.error}")
            return answer.choice

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
        left_s = self._rests_until_s - time.monotonic()
        if self._failures >= FAILURES_MAX and left_s > 0:
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
        ready = self._exchange(process, b"", Ready, self._load_s_max)
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

    def _exchange(self, process: subprocess.Popen[bytes], frame: bytes, kind: type[_Message], timeout_s: float) -> _Message:
        """Say what there is to say, and hear one message."""
        heard, told = bytearray(), bytearray()
        left = memoryview(frame)
        until_s = time.monotonic() + timeout_s
        with selectors.DefaultSelector() as selector:
            stdin, stdout, stderr = _pipes(process)
            selector.register(stdout, selectors.EVENT_READ, heard)
            selector.register(stderr, selectors.EVENT_READ, told)
            if left:
                selector.register(stdin, selectors.EVENT_WRITE)
            while True:
                wait_s = until_s - time.monotonic()
                if wait_s <= 0:
                    raise self._error(f"did not {'answer' if frame else 'start'} within {timeout_s:g} s", told)
                for key, _ in selector.select(wait_s):
                    if key.fileobj is stdin:
                        left = left[_written(key.fd, left) :]
                        if not left:
                            selector.unregister(stdin)
                    elif _read_into(key.fd, key.data) == 0:
                        selector.unregister(key.fileobj)
                        if key.fileobj is stdout:
                            raise self._died(process, told)
                del told[:-_LAST_WORDS_BYTES_MAX]
                if len(heard) >= HEAD_BYTES:
                    try:
                        size = HEAD_BYTES + length_of(heard)
                        if len(heard) >= size:
                            return _decoded(heard, size, kind)
                    except ValueError as error:  # that of msgspec is one
                        raise self._error(f"gave what is no answer: {error}", told) from None

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


def _decoded(heard: bytearray, size: int, kind: type[_Message]) -> _Message:
    if len(heard) > size:
        raise ValueError("more than one answer")
    return msgspec.msgpack.decode(bytes(heard[HEAD_BYTES:size]), type=kind)
