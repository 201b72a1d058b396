"""`.edgematrix/run.json`: what runs here, so that the other commands find it."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from edgematrix.errors import UsageError

__all__ = ["FOLDER", "RunFile", "find_run", "is_alive", "live_run", "process_birth", "without_password"]

FOLDER = ".edgematrix"
"""Where a project keeps what a run needs, in the working directory."""
_NAME = "run.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFile:
    """One run. `url` has no password; `birth` tells the process from a later one with the same number."""

    url: str
    matrix: str
    """The matrix file, absolute."""
    name: str
    """The matrix's name."""
    root: str
    host: str
    pid: int
    birth: str
    started: str
    state: str
    """The folder of the stored states, absolute."""

    def write(self, folder: Path) -> None:
        """Write it, readable by its owner alone.

        Raises:
            UsageError: the folder cannot be written.
        """
        target = folder / _NAME
        draft = folder / f"{_NAME}.{self.pid}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            draft.unlink(missing_ok=True)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                json.dump(asdict(self), file, indent=2)
                file.write("\n")
            draft.replace(target)
        except OSError as error:
            raise UsageError(f"cannot be written: {error.strerror}", where=str(target), remedy="run it where you may write") from None

    def remove(self, folder: Path) -> None:
        """Remove it, if it is still of this run."""
        known = _read(folder / _NAME)
        if known is not None and (known.pid, known.birth) == (self.pid, self.birth):
            with suppress(OSError):
                (folder / _NAME).unlink()


def live_run(folder: Path) -> RunFile | None:
    """The run that this folder's file tells of, if it goes on. What a dead process left is no run, and neither are we."""
    known = _read(folder / _NAME)
    return known if known is not None and known.pid != os.getpid() and is_alive(known.pid, known.birth) else None


def find_run(folder: Path | None = None) -> RunFile | None:
    """The run that goes on in this folder, or in one above it; None if there is none."""
    start = (folder or Path.cwd()).absolute()
    for place in (start, *start.parents):
        run = live_run(place / FOLDER)
        if run is not None:
            return run
    return None


def is_alive(pid: int, birth: str) -> bool:
    """Whether the process `pid` lives and is the one that was born then."""
    if pid <= 0:
        return False
    if sys.platform == "linux":
        return process_birth(pid) == birth
    try:
        os.kill(pid, 0)
    except OSError as error:
        return isinstance(error, PermissionError)
    return True


def process_birth(pid: int) -> str:
    """When a process began: clock ticks since the machine did, of which boot; empty where the system does not tell."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
    return f"{stat.rpartition(')')[2].split()[19]} {boot}"


def without_password(url: str) -> str:
    """The address without its password; what refers to secrets stays as it is."""
    if "${secret:" in url:
        from edgematrix.config.broker_address import without_credentials  # noqa: PLC0415 - few addresses refer to any

        return without_credentials(url)
    if url.startswith("@"):
        return f"@{Path(url[1:]).expanduser().absolute()}"  # it stands in a file
    parts = urlsplit(url)
    if parts.password is None:
        return url
    user, _, place = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}@{place}"))


def _read(path: Path) -> RunFile | None:
    """What a run file says; None if there is none, or it is no run file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        known = {field.name: found[field.name] for field in fields(RunFile)}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return RunFile(**known) if isinstance(known["pid"], int) else None
