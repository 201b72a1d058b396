"""What is kept of one run under way, and its stored form.

It has a head, which is written once; a state, which is written anew when it has changed; and a journal, to which parts are added.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, Protocol

import msgspec

from edgematrix.errors import StateError
from edgematrix.protocol.event import Trail
from edgematrix.protocol.message import NO_TRAIL
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.progress import Progress
from edgematrix.runtime.run import Body, Run
from edgematrix.runtime.stored_form import pack, unpack
from edgematrix.triggers import Firing, Reading

__all__ = ["BETWEEN", "RUN", "Book", "Entry", "StoredRun", "key_of", "read_run"]

_VERSION = 1
_HEAD, _STATE = "head", "state"
RUN: Final = "run"
BETWEEN: Final = "\x1e"
"""Between the kind, the names, and the part in a key; no path and no group's name has it."""


def key_of(kind: str, agent: str, group: str, last: str) -> str:
    """How the keys of what is kept begin."""
    return f"{kind}{BETWEEN}{agent}#{group}#{last}{BETWEEN}"


class Book(Protocol):
    """What entries are in: a ledger."""

    @property
    def bytes_max(self) -> int:
        """What may be kept of one run."""

    def change(self, page: Entry) -> None:
        """What is stored of it is no longer what it was."""

    def refuse(self, entry: Entry, reason: str) -> None:
        """A run cannot be kept, so it fails."""


class _Head(msgspec.Struct, array_like=True):
    """`whole` names the sources whose value is the whole payload: that is written once."""

    version: int
    is_kept: bool
    is_called: bool
    ordinal: int
    firing: Firing
    whole: list[str]


class _State(msgspec.Struct, array_like=True):
    version: int
    trail: Trail
    kind: str
    attempt: int
    state: bytes
    failure: str = ""


class StoredRun(msgspec.Struct):
    """A run that was under way when the host went down. `trouble` says why it cannot go on; empty if it may.
    `is_called` tells that somebody on this host waited for its end, `is_damaged` that not all of it could be read.
    """

    head: str
    agent: AgentPath
    group: str
    number: int
    keys: list[str]
    firing: Firing
    ordinal: int = 0
    trail: Trail = NO_TRAIL
    progress: Progress = Progress("", b"")
    size: int = 0
    is_called: bool = False
    trouble: str = ""
    is_damaged: bool = False


class Entry:
    """One run under way.

    Args:
        body: what works on it; None where it cannot go on after a restart.
        ordinal: its place among all runs of the host, in the order in which they were opened.
        is_called: whether somebody on this host waits for its end.
    """

    __slots__ = ("_attempt", "_book", "_parts", "_size", "body", "is_called", "is_changed", "is_stored", "ordinal", "refusal", "run")

    def __init__(self, book: Book, run: Run, body: Body | None, ordinal: int, *, is_called: bool) -> None:
        self._book = book
        self.run = run
        self.body = body
        self.ordinal = ordinal
        self.is_called = is_called
        self.is_changed = False
        self.is_stored = False
        self.refusal = ""
        """Why it cannot be kept."""
        self._attempt = 0
        self._parts = 0
        """How many parts its journal has."""
        self._size = 0
        """The bytes of its head and its journal."""

    @classmethod
    def of(cls, book: Book, run: Run, body: Body, stored: StoredRun) -> Entry:
        """The entry of a run that goes on."""
        entry = cls(book, run, body, stored.ordinal, is_called=stored.is_called)
        entry.is_stored = True
        entry._attempt = stored.progress.attempt
        entry._parts = len(stored.progress.journal)
        entry._size = stored.size
        return entry

    @property
    def key(self) -> str:
        """How the keys of its parts begin."""
        run = self.run
        return key_of(RUN, run.runner.agent, run.runner.name, str(run.number))

    def touch(self) -> None:
        """Its body has gone on."""
        if not self.is_changed and not self.refusal and self.body is not None:
            self._book.change(self)

    def parts(self) -> dict[str, bytes | None]:
        """What is to be written now."""
        parts: dict[str, bytes | None] = {}
        if not self.is_stored:
            head = self._head()
            self._size += len(head)
            parts[self.key + _HEAD] = head
        if self.body is not None:
            try:
                self._add(parts, self.body)
            except StateError as error:
                self._refuse(parts, f"it cannot be kept for a restart: {error.what}")
        return parts

    def erased(self) -> dict[str, bytes | None]:
        """The keys of all that was written."""
        return dict.fromkeys([self.key + _HEAD, self.key + _STATE, *self._journal_keys()])

    def _add(self, parts: dict[str, bytes | None], body: Body) -> None:
        run, key = self.run, self.key
        progress = body.keep(run)
        if progress.attempt != self._attempt:
            parts.update(dict.fromkeys(self._journal_keys()))
            self._attempt, self._parts = progress.attempt, 0
        for data in progress.journal:
            parts[f"{key}{self._parts}"] = data
            self._parts += 1
            self._size += len(data)
        state = pack(_State(_VERSION, run.trail, progress.kind, progress.attempt, progress.state))
        parts[self.key + _STATE] = state
        size, size_max = self._size + len(state), self._book.bytes_max
        if size > size_max:
            self._refuse(parts, f"what has to be kept of it for a restart has {size} bytes, journal_bytes_max is {size_max}")

    def _refuse(self, parts: dict[str, bytes | None], reason: str) -> None:
        """It fails; should the host go down before, it is told why then."""
        self.refusal = reason
        parts.update(dict.fromkeys(self._journal_keys()))
        self._parts = 0
        parts[self.key + _STATE] = pack(_State(_VERSION, self.run.trail, "", 0, b"", reason))
        self._book.refuse(self, reason)

    def _head(self) -> bytes:
        firing = self.run.firing
        whole = [name for name, reading in firing.sources.items() if reading is not None and reading.payload is reading.value]
        sources = {
            name: Reading(reading.value, None, reading.topic, reading.time_us) if reading is not None and name in whole else reading
            for name, reading in firing.sources.items()
        }
        head = _Head(_VERSION, self.body is not None, self.is_called, self.ordinal, msgspec.structs.replace(firing, sources=sources), whole)
        try:
            return pack(head)
        except StateError:
            # What has no stored form is at least told of.
            head.is_kept, head.firing, head.whole = False, msgspec.structs.replace(firing, sources={}, captures={}), []
            return pack(head)

    def _journal_keys(self) -> list[str]:
        key = self.key
        return [f"{key}{number}" for number in range(self._parts)]


def read_run(head: str, names: str, parts: Mapping[str, bytes]) -> StoredRun:
    """The run that an entry has written; `names` are its agent, its group and its number."""
    agent, group, number = names.split("#")
    keys = [head + part for part in parts]
    firing = Firing(group, None, {})
    stored = StoredRun(head, AgentPath(agent), group, int(number), keys, firing)
    try:
        _read_into(stored, parts)
    except StateError as error:
        stored.trouble, stored.is_damaged = f"what was kept of it: {error.what}", True
    return stored


def _read_into(stored: StoredRun, parts: Mapping[str, bytes]) -> None:
    about = unpack(_part(parts, _HEAD), _Head)
    _check(about.version)
    stored.ordinal, stored.is_called, stored.trail = about.ordinal, about.is_called, about.firing.trail
    stored.firing = msgspec.structs.replace(about.firing, sources=_with_payloads(about.firing.sources, about.whole))
    if not about.is_kept:
        stored.trouble = "the host went down while it was under way"
        return
    state = unpack(_part(parts, _STATE), _State)
    _check(state.version)
    stored.trail, stored.trouble = state.trail, state.failure
    numbers = sorted(int(part) for part in parts if part.isdecimal())
    if numbers != list(range(len(numbers))):
        raise StateError("a part of its journal is missing")
    journal = [parts[str(number)] for number in numbers]
    stored.progress = Progress(state.kind, state.state, journal, state.attempt)
    stored.size = len(parts[_HEAD]) + sum(map(len, journal))


def _with_payloads(sources: Mapping[str, Reading | None], whole: Collection[str]) -> dict[str, Reading | None]:
    return {
        name: Reading(reading.value, reading.value, reading.topic, reading.time_us) if reading is not None and name in whole else reading
        for name, reading in sources.items()
    }


def _part(parts: Mapping[str, bytes], name: str) -> bytes:
    if name not in parts:
        raise StateError(f"its {name} is missing")
    return parts[name]


def _check(version: int) -> None:
    if version != _VERSION:
        raise StateError(f"it is of version {version}, expected {_VERSION}")
