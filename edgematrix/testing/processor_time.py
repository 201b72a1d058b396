"""How much processor time this process and those that it started have taken."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

__all__ = ["processor_time_s"]

_PROCESSES_MAX: Final = 256
_USER, _SYSTEM = 11, 12
"""Of a line of /proc/PID/stat, counted behind the name (proc_pid_stat(5), fields 14 and 15)."""


def processor_time_s() -> float:
    """Seconds of processor time so far, of this process and of all below it that run; where there is no /proc, of this one alone.

    Those below are counted in ticks of the system, mostly 10 ms.
    """
    return time.process_time() + sum(map(_taken_s, _below(os.getpid())))


def _below(pid: int) -> list[int]:
    found: list[int] = []
    waiting = [pid]
    while waiting and len(found) < _PROCESSES_MAX:
        for children in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
            try:
                begun = [int(word) for word in children.read_text(encoding="ascii").split()]
            except OSError:  # it has ended meanwhile
                continue
            found += begun
            waiting += begun
    return found


def _taken_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return (int(fields[_USER]) + int(fields[_SYSTEM])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return 0.0
