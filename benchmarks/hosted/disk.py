"""What a process has its disk do, seen from outside."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Disk", "tracing", "used_of"]

_SYNCS = ("fsync", "fdatasync")


@dataclass(frozen=True, slots=True)
class Disk:
    """How often it waited for the disk, and what it wrote; `syncs` is None where nothing can count them."""

    syncs: float | None
    bytes_written: float

    def since(self, before: Disk, messages: int) -> Disk:
        """What each message took of it."""
        syncs = None if self.syncs is None or before.syncs is None else (self.syncs - before.syncs) / messages
        return Disk(syncs, (self.bytes_written - before.bytes_written) / messages)


def tracing(log: Path) -> list[str]:
    """What stands before a command so that its waits for the disk are logged; nothing where there is no strace.

    Only these calls are stopped at (`--seccomp-bpf`), and the process started is the program itself (`-D`).
    """
    strace = shutil.which("strace")
    return [] if strace is None else [strace, "-D", "-f", "-qq", "--seccomp-bpf", "-e", f"trace={','.join(_SYNCS)}", "-o", str(log)]


def used_of(pid: int, log: Path) -> Disk:
    """Read from /proc (`write_bytes`: pages that went to the disk's layer) and from the log that `tracing` has written."""
    fields = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    syncs = None
    if log.exists():
        text = log.read_text()
        syncs = sum(text.count(f" {name}(") for name in _SYNCS)
    return Disk(syncs, int(fields["write_bytes"]))
