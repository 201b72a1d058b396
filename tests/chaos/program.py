"""A program that is started, killed without a word, and started again; it ends with the process that started it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from edgematrix.runtime.broker_program import launcher

__all__ = ["Program", "ProgramError", "Programs"]

_LOOK_S = 0.01
_SHOWN_BYTES = 2_000


class ProgramError(Exception):
    """A program did not do what it was started for; the text has the end of what it wrote."""


class Program:
    """One program, in a process group of its own.

    Args:
        log: where all that it writes is kept, over all its lives.
        ready: whether what runs is ready for work, judged from outside.
        prepare: done before each start, when nothing of it runs.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        ready: Callable[[], bool] = lambda: True,
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.log = log
        self.starts = 0
        self._cpu_s = 0.0
        self._command = [shutil.which(command[0]) or command[0], *command[1:]]
        self._env = None if env is None else {**os.environ, **env}
        self._ready = ready
        self._prepare = prepare
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def cpu_s(self) -> float:
        """What all its lives have cost; of one that ended by itself nothing is known."""
        if self._process is None:
            return self._cpu_s
        try:
            stat = Path(f"/proc/{self._process.pid}/stat").read_text()
        except OSError:
            return self._cpu_s
        user, system = stat.rpartition(")")[2].split()[11:13]
        return self._cpu_s + (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    @property
    def exit_code(self) -> int | None:
        """How it ended by itself; None where it goes on, or was killed."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start it. Called on the main thread: the system ends a program with the thread that started it."""
        assert not self.is_running
        self._prepare()
        self.starts += 1
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                launcher(self._command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._env, start_new_session=True
            )

    def kill(self) -> None:
        """As a power cut does; with all that it has started."""
        self._cpu_s, process, self._process = self.cpu_s, self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()  # in case it has not made its group yet
            process.wait()

    def ask_to_end(self) -> None:
        """As the system does at shutdown, to be followed by `kill`."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    async def until_ended(self, timeout_s: float) -> bool:
        """Wait for it to end by itself. Whether it did."""
        give_up_at_s = time.monotonic() + timeout_s
        while self.is_running and time.monotonic() < give_up_at_s:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(_LOOK_S)
        return not self.is_running

    async def until_ready(self, timeout_s: float) -> None:
        """Wait until it can be worked with.

        Raises:
            ProgramError: it ended instead, or did not come to it in time.
        """
        process, give_up_at_s = self._process, time.monotonic() + timeout_s
        while process is self._process:  # else it was killed meanwhile
            if process is None or process.poll() is not None:
                raise ProgramError(f"{self.name} ended by itself\n{self.said()}")
            if self._ready():
                return
            if time.monotonic() > give_up_at_s:
                raise ProgramError(f"{self.name} was not ready within {timeout_s} s\n{self.said()}")
            await asyncio.sleep(_LOOK_S)

    def said(self) -> str:
        """The end of what it wrote."""
        with suppress(FileNotFoundError):
            return self.log.read_bytes()[-_SHOWN_BYTES:].decode(errors="replace")
        return ""


class Programs:
    """All programs of a run: nothing of them is left when the block is left, however it is left."""

    def __init__(self) -> None:
        self._all: list[Program] = []

    def add(self, program: Program) -> Program:
        self._all.append(program)
        return program

    def __iter__(self) -> Iterator[Program]:
        return iter(self._all)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for program in reversed(self._all):
            program.kill()
