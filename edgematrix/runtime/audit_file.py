"""The audit log of a host on its disk (docs/access.md, "Operators and the audit log")."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Sequence
from pathlib import Path

from edgematrix.access.audit import DAMAGED, DROPPED, TORN, Fact, Head, Outcome, encode_entry, read_entry
from edgematrix.errors import StateError

__all__ = ["AuditFile", "audit_files"]

_NAME = "audit.jsonl"
_LOCK = "audit.lock"
_FILE_BYTES_MAX = 4 << 20
_FILES_MAX = 16
"""Full files that are kept beside the one that is written: 64 MiB, about 200,000 entries."""
_BLOCK_BYTES = 65_536
"""The end of a file that is read when a host begins: an entry has 16 KiB at most."""
_TORN_LENGTH_MAX = 200


def audit_files(folder: Path) -> list[Path]:
    """The files of the log in a state folder, oldest first; none where nothing was logged."""
    full = sorted(folder.glob("audit-[0-9]*.jsonl"))
    newest = folder / _NAME
    return [*full, newest] if newest.exists() else full


class AuditFile:
    """Appends entries; each call has them on the disk when it returns. Threads may share it.

    A file that is full is renamed to `audit-N.jsonl`, with the number of its first entry. The next one goes on with the chain.

    Args:
        folder: where the host keeps its states.
        host: its name.
        file_bytes_max: how large a file may become, about.
        files_max: how many full ones are kept, at least 1.
    """

    def __init__(self, folder: Path, host: str, *, file_bytes_max: int = _FILE_BYTES_MAX, files_max: int = _FILES_MAX) -> None:
        self.head = Head()
        """The last entry."""
        self.found = ""
        """What was wrong with what was there, in a sentence; whoever tells it empties it."""
        self._folder = folder
        self._file = folder / _NAME
        self._host = host
        self._file_bytes_max = file_bytes_max
        self._files_max = files_max
        self._guard = threading.Lock()
        self._descriptor = -1
        self._lock = -1
        self._size_bytes = 0
        self._is_whole = True
        """Whether nothing but whole entries stands in the file."""
        self._before: list[Fact] = []
        """What is to be said of the log itself before the next entry."""

    def open(self, at: str) -> None:
        """Look at what is there, and repair a line that is not whole.

        Where there is no log yet, none is made: the first entry makes it.

        Args:
            at: the present moment, RFC 3339.

        Raises:
            StateError: it cannot be read or written, or another process writes it.
        """
        with self._guard:
            if self._descriptor >= 0 or not audit_files(self._folder):
                return
            try:
                self._take_up(at)
                if self._before:
                    self._write([])
            except OSError as error:
                self._let_go()
                raise self._failed(error) from None

    def append(self, facts: Sequence[Fact]) -> int:
        """Write entries, all or none, and give the number of the first one.

        Raises:
            StateError: they cannot be written; none was.
        """
        with self._guard:
            try:
                if self._descriptor < 0:
                    self._take_up(facts[0].at)
                elif self._size_bytes >= self._file_bytes_max:
                    self._rotate(facts[0].at)
                return self._write(facts)
            except OSError as error:
                raise self._failed(error) from None

    def close(self) -> None:
        """Let go of the files."""
        with self._guard:
            self._let_go()

    # Inside

    def _take_up(self, at: str) -> None:
        """Open the newest file, and find the last entry."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._hold()
        self._descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self._look(at)
        except OSError:
            os.close(self._descriptor)
            self._descriptor = -1
            raise

    def _look(self, at: str) -> None:
        self._size_bytes = os.fstat(self._descriptor).st_size
        end = os.pread(self._descriptor, _BLOCK_BYTES, max(0, self._size_bytes - _BLOCK_BYTES))
        whole, _, torn = end.rpartition(b"\n")
        if torn:
            self._size_bytes -= len(torn)
            os.ftruncate(self._descriptor, self._size_bytes)
            asked = {"bytes": len(torn), "text": torn[:_TORN_LENGTH_MAX].decode(errors="replace")}
            self._before.append(Fact(at, "", TORN, "", asked, Outcome.DONE, "the host went down while it wrote this line: it is no entry"))
        last = whole.rpartition(b"\n")[2] if whole else self._last_of_full()
        entry = read_entry(last) if last else None
        if isinstance(entry, str):
            self.head = next((good.head for line in reversed(whole.split(b"\n")) if not isinstance(good := read_entry(line), str)), Head())
            self._set_aside(at, entry)
            self.found = f"the audit log {self._file} was damaged: its last line: {entry}; it goes on in a new file"
            return
        if entry is not None:
            self.head = entry.head
        if torn:
            self.found = f"the audit log {self._file} ended in a line that was not whole ({len(torn)} bytes): repaired, and logged"

    def _hold(self) -> None:
        """Keep other processes out: two chains in one file would be none."""
        if self._lock >= 0:
            return
        lock = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise StateError(
                "another host writes the audit log here", where=str(self._file), remedy="give each host a --state folder of its own"
            ) from None
        self._lock = lock

    def _last_of_full(self) -> bytes:
        """The last line of the newest full file; empty where there is none."""
        full = [file for file in audit_files(self._folder) if file != self._file]
        return _last_line(full[-1]) if full else b""

    def _set_aside(self, at: str, what: str) -> None:
        """Leave a file that cannot be gone on with as it is, so that the damage stays to be found, and begin another one."""
        full = self._put_by()
        self._before.append(Fact(at, "", DAMAGED, "", {"file": full.name}, Outcome.DONE, f"the last line of the file before: {what}"))
        self._begin_file()

    def _rotate(self, at: str) -> None:
        """Begin another file; the oldest are dropped, and that is logged before."""
        self._put_by()
        self._begin_file()
        full = audit_files(self._folder)[:-1]
        old = full[: max(0, len(full) - self._files_max)]
        if not old:
            return
        last = read_entry(_last_line(old[-1]))
        if not isinstance(last, str):
            asked = {"until": last.n, "hash": last.hash, "files": len(old)}
            why = f"{self._files_max} full files are kept"
            self._before.append(Fact(at, "", DROPPED, "", asked, Outcome.DONE, why))
            self._write([])
        for file in old:
            file.unlink()

    def _put_by(self) -> Path:
        """Rename the file that is written: it is full."""
        with self._file.open("rb") as stream:
            first = read_entry(stream.readline(_BLOCK_BYTES).rstrip(b"\n"))
        taken = [int(file.stem.partition("-")[2]) for file in self._folder.glob("audit-[0-9]*.jsonl")]
        number = max([0 if isinstance(first, str) else first.n, *(other + 1 for other in taken)])
        os.close(self._descriptor)
        self._descriptor = -1
        return self._file.rename(self._folder / f"audit-{number:012}.jsonl")

    def _begin_file(self) -> None:
        self._descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size_bytes = 0
        self._sync_folder()

    def _write(self, facts: Sequence[Fact]) -> int:
        """Append what is to be said of the log, and the facts, as one; the number of the first fact's entry."""
        if not self._is_whole:
            os.ftruncate(self._descriptor, self._size_bytes)
            self._is_whole = True
        lines, head = [], self.head
        for fact in (*self._before, *facts):
            line, head = encode_entry(fact, self._host, head)
            lines.append(line)
        data = b"".join(lines)
        is_new = self._size_bytes == 0
        try:
            self._is_whole = False
            written = 0
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
            os.fsync(self._descriptor)
            self._is_whole = True
        except OSError:
            os.ftruncate(self._descriptor, self._size_bytes)
            self._is_whole = True
            raise
        if is_new:
            self._sync_folder()
        first = self.head.n + len(self._before) + 1
        self._before.clear()
        self._size_bytes += len(data)
        self.head = head
        return first

    def _sync_folder(self) -> None:
        """A file's name outlives a power cut too."""
        folder = os.open(self._folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _let_go(self) -> None:
        for descriptor in (self._descriptor, self._lock):
            if descriptor >= 0:
                os.close(descriptor)
        self._descriptor = self._lock = -1

    def _failed(self, error: OSError) -> StateError:
        remedy = "make room on the disk, or let the host write there"
        return StateError(f"cannot be written to the audit log: {error.strerror}", where=str(self._file), remedy=remedy)


def _last_line(file: Path) -> bytes:
    with file.open("rb") as stream:
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - _BLOCK_BYTES))
        return stream.read().rstrip(b"\n").rpartition(b"\n")[2]
