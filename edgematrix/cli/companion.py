"""A process that runs beside the host for as long as it runs: the player of a recording, a board's program."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from edgematrix.cli.console import shorten
from edgematrix.runtime.broker_program import launcher

__all__ = ["Companion", "stop_all"]

_LINE_LENGTH_MAX = 500
_LINE_BYTES_MAX = 65_536
_GOODBYE_S = 0.6
"""How long a companion may take to say goodbye on the bus before it is killed."""


@dataclass(slots=True)
class Companion:
    """One process.

    Args:
        name: how it is called in what is shown.
        words: the program and its arguments.
        environment: its environment; None for ours.
        said: called with each line that it prints.
        ended: called with its exit code when it ends by itself.
    """

    name: str
    words: Sequence[str]
    environment: Mapping[str, str] | None
    said: Callable[[str], None]
    ended: Callable[[int], None]
    _process: asyncio.subprocess.Process | None = None
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _stopping: bool = False

    async def start(self) -> None:
        """Start it, in a process group of its own: Ctrl-C in the terminal is ours to hand on.

        Raises:
            OSError: it cannot be started.
        """
        self._process = await asyncio.create_subprocess_exec(
            *launcher([*self.words]),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=None if self.environment is None else dict(self.environment),
            start_new_session=True,
            limit=_LINE_BYTES_MAX,
        )
        self._tasks.append(asyncio.create_task(self._follow(self._process), name=self.name))

    async def stop(self) -> None:
        """Ask it to end, then make it end."""
        self._stopping = True
        process = self._process
        # One that has ended is left alone: its number may belong to somebody else by now.
        if process is not None and process.returncode is None:
            self._signal(process, signal.SIGINT)
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _GOODBYE_S)
            if process.returncode is None:
                self._signal(process, signal.SIGKILL)
                await process.wait()
        for task in self._tasks:
            task.cancel()

    def _signal(self, process: asyncio.subprocess.Process, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32":
                process.terminate()
            else:
                os.killpg(process.pid, number)

    async def _follow(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None  # noqa: S101 - asked for above
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # longer than the limit; what was read of it is gone
                continue
            if not line:
                break
            self.said(shorten(line.decode(errors="replace").rstrip(), _LINE_LENGTH_MAX))
        code = await process.wait()
        if not self._stopping:
            self.ended(code)


async def stop_all(companions: Iterable[Companion]) -> None:
    """Stop them at once, side by side."""
    await asyncio.gather(*(companion.stop() for companion in companions))
