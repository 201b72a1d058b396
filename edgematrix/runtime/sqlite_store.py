"""A store in one SQLite file."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from edgematrix.errors import StateError

__all__ = ["SqliteStore"]

_log = logging.getLogger(__name__)

_ROWS_MAX = 256
_KEEP = ("INSERT OR REPLACE INTO part VALUES ", "(?,?)", "")
_FORGET = ("DELETE FROM part WHERE key IN (", "?", ")")
_VERSION = 1
_SCHEMA = "CREATE TABLE part (key TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID"


class SqliteStore:
    """Bytes by key. Writes are transactions in WAL mode; a lock lets one thread in at a time.

    A damaged file is set aside under another name, which is said, and a new one is begun.

    Raises:
        StateError: the file cannot be opened or made, or is of a newer version.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_safe = False
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = self._open()
        except (OSError, sqlite3.OperationalError) as error:
            raise StateError(f"the store cannot be opened: {error}", where=str(path)) from error
        except sqlite3.DatabaseError as error:
            self._set_aside(error)
            self._connection = self._open()

    def load(self) -> dict[str, bytes]:
        """Everything that is stored.

        Raises:
            StateError: it cannot be read.
        """
        with self._lock:
            try:
                return dict(self._connection.execute("SELECT key, data FROM part"))
            except sqlite3.DatabaseError as error:
                raise StateError(f"the store cannot be read: {error}", where=str(self._path)) from error

    def read(self, key: str) -> bytes | None:
        """What is stored under one key; None for nothing.

        Raises:
            StateError: it cannot be read.
        """
        with self._lock:
            try:
                found = self._connection.execute("SELECT data FROM part WHERE key = ?", (key,)).fetchone()
            except sqlite3.DatabaseError as error:
                raise StateError(f"the store cannot be read: {error}", where=str(self._path)) from error
        return None if found is None else found[0]

    def save(self, changed: Mapping[str, bytes | None], *, is_safe: bool = False) -> None:
        """Store these in one transaction; None deletes. What was saved survives the end of the process.

        Args:
            changed: by key.
            is_safe: whether it, and all before it, survives a loss of power too: the call then takes as long as the disk does.

        Raises:
            StateError: it cannot be written, for example for want of room; nothing of it is stored then.
        """
        kept = [value for key, data in changed.items() if data is not None for value in (key, data)]
        gone = [key for key, data in changed.items() if data is None]
        with self._lock:
            try:
                if is_safe is not self._is_safe:
                    self._is_safe = is_safe
                    self._connection.execute(f"PRAGMA synchronous = {'FULL' if is_safe else 'NORMAL'}")
                with self._connection:
                    for statement, values in (*_statements(_KEEP, kept, 2), *_statements(_FORGET, gone, 1)):
                        self._connection.execute(statement, values)
            except sqlite3.DatabaseError as error:
                raise StateError(f"the store cannot be written: {error}", where=str(self._path)) from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, check_same_thread=False)
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version not in (0, _VERSION):
                raise StateError(f"the store is of version {version}, this program reads {_VERSION}", where=str(self._path))
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            if version == 0:
                _make(connection)
            connection.execute("SELECT key FROM part LIMIT 1").fetchone()
        except BaseException:
            connection.close()
            raise
        return connection

    def _set_aside(self, error: Exception) -> None:
        aside = self._path.with_name(self._path.name + ".damaged")
        self._path.replace(aside)
        for suffix in ("-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        _log.warning("%s is damaged (%s); it is kept as %s, and states start afresh", self._path, error, aside)


def _statements(form: tuple[str, str, str], values: Sequence[str | bytes], width: int) -> Iterator[tuple[str, Sequence[str | bytes]]]:
    """One statement for many rows: each is a turn in which the thread waits for the interpreter's lock, and the event loop has it.

    The numbers of rows are powers of two, so that there are few texts of statements to be compiled and kept.
    """
    head, row, tail = form
    done = 0
    while done < len(values):
        rows = 1 << min((len(values) - done) // width, _ROWS_MAX).bit_length() - 1
        yield head + ",".join([row] * rows) + tail, values[done : done + rows * width]
        done += rows * width


def _make(connection: sqlite3.Connection) -> None:
    with connection:
        connection.execute(_SCHEMA)
        connection.execute(f"PRAGMA user_version = {_VERSION}")
