"""The real command line as a process, in the hands of a test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

WAIT_S = 20.0
CALM = {**os.environ, "NO_COLOR": "1", "COLUMNS": "120", "PYTHONUNBUFFERED": "1"}


def call(*arguments: object, cwd: Path, timeout_s: float = WAIT_S) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "edgematrix", *map(str, arguments)],
        cwd=cwd,
        env=CALM,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def no_traceback(done: subprocess.CompletedProcess[str]) -> None:
    assert "Traceback" not in done.stdout + done.stderr, done.stderr


class Running:
    """A command that goes on until it is stopped. What it prints goes to a file, which nothing has to drain."""

    def __init__(self, *arguments: object, cwd: Path, name: str = "running") -> None:
        self._log = cwd / f"{name}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "edgematrix", *map(str, arguments)],
                cwd=cwd,
                env=CALM,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    @property
    def printed(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def wait_for(self, text: str) -> str:
        self.wait_until(lambda: text in self.printed, f"{text!r} is not printed")
        return self.printed

    def wait_until(self, holds: Callable[[], bool], failure: str) -> None:
        until = time.monotonic() + WAIT_S
        while not holds():
            assert self.process.poll() is None, f"it has ended with {self.process.returncode}: {self.printed}"
            assert time.monotonic() < until, f"{failure}: {self.printed}"
            time.sleep(0.01)

    def stop(self, number: int = signal.SIGINT) -> float:
        """Send a signal; returns how many seconds the process took to end."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(WAIT_S)
        return time.monotonic() - began

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def descendants(pid: int) -> set[int]:
    """The processes below one, as `/proc` has them."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            found.add(child)
            waiting.append(child)
    return found


def words_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def lives(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
