"""A process that is started, killed without a word, and started again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.hosted.disk import tracing

__all__ = ["Program"]

_SHOWN_CHARACTERS = 2_000
_END_S = 10.0


class Program:
    """One program; it runs within the block.

    Args:
        name: that of its log, too.
        place: the folder of its log.
        is_traced: whether its waits for the disk are logged, to `trace`.
    """

    def __init__(self, name: str, command: list[str], place: Path, *, is_traced: bool = False) -> None:
        self.name = name
        self.trace = place / f"{name}.trace"
        self._command = [*tracing(self.trace), *command] if is_traced else command
        self._log = place / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the process that runs now."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)

    def kill(self) -> None:
        """As a loss of power does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """As the system does at shutdown."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_END_S)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
        if error is not None and self._log.exists():
            print(f"{self.name}:\n{self._log.read_text(errors='replace')[-_SHOWN_CHARACTERS:]}", file=sys.stderr)
