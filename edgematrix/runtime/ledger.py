"""Runs under way, as they are kept for a restart.

Of a durable agent all is kept that it takes to go on. Of another's own work that nobody called, what it was given is: it becomes a
dead letter when the host comes back. A run that is over before the next write costs no write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from typing import Protocol

from edgematrix.errors import StateError
from edgematrix.protocol.limits import Limits
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.ledger_entry import BETWEEN, RUN, Entry, StoredRun, key_of, read_run
from edgematrix.runtime.left_behind import LeftBehind
from edgematrix.runtime.partial_inputs import PartialInputs, StoredInputs, read_inputs
from edgematrix.runtime.run import Body, Run
from edgematrix.runtime.timers import Timer

__all__ = ["Ledger", "Page", "agent_of"]

_INPUTS, _LEFT = "inputs", "left"


def agent_of(key: str) -> AgentPath:
    """Whose work is stored under a key; empty where it is nobody's."""
    return AgentPath(key.partition(BETWEEN)[2].partition(BETWEEN)[0].partition("#")[0])


class Page(Protocol):
    """Something that is kept: one run, or the inputs that wait for others of their run."""

    is_changed: bool
    is_stored: bool

    def parts(self) -> dict[str, bytes | None]:
        """What is to be written of it now, by key."""

    def erased(self) -> dict[str, bytes | None]:
        """The keys of all that was written of it, each with None."""


class Ledger:
    """The book of what is under way on a host.

    Args:
        touched: called when there is something to store.
        schedule: calls a timer at a moment.
    """

    STORE_KEY = "work"

    def __init__(self, limits: Limits, touched: Callable[[Ledger], None], schedule: Callable[[Timer, int], None]) -> None:
        self._limits = limits
        self._touched = touched
        self._schedule = schedule
        self._is_touched = False
        self._count = 0
        """Of the runs that were opened, those of before a restart included: they are taken up in that order."""
        self._changed: dict[Page, None] = {}
        self._gone: dict[str, bytes | None] = {}
        self._left = LeftBehind(f"{_LEFT}{BETWEEN}")

    def open(self, run: Run, body: Body | None, *, is_called: bool) -> None:
        """A run has begun, and is under way.

        Args:
            body: what it can go on with after a restart; None where it cannot.
            is_called: whether somebody on this host waits for its end.
        """
        self._count += 1
        entry = Entry(self, run, body, self._count, is_called=is_called)
        run.entry = entry
        self.change(entry)

    def close(self, run: Run) -> None:
        """It is over, however it ended."""
        entry, run.entry = run.entry, None
        if isinstance(entry, Entry):
            self.erase(entry)

    def hold(self, agent: str, inputs: PartialInputs) -> None:
        """Inputs of a run have come, and others have not."""
        if not inputs.key:
            inputs.key = key_of(_INPUTS, agent, "", blake2b(inputs.runid.encode(errors="surrogatepass"), digest_size=16).hexdigest())
        self.change(inputs)

    def leave(self, runid: str, receiver: AgentPath) -> None:
        """Nobody waits any more for a call whose work waits in a trigger group."""
        self._left.add(runid, receiver)
        self.change(self._left)

    @property
    def left(self) -> Mapping[str, AgentPath]:
        """The runs of such calls, each with its receiver."""
        return self._left.runids

    def leave_only(self, runids: Iterable[str]) -> None:
        """Work of no other run waits in trigger groups."""
        self._left.keep_only(runids)
        self.change(self._left)

    def change(self, page: Page) -> None:
        """What is stored of it is no longer what it was."""
        if not page.is_changed:
            page.is_changed = True
            self._changed[page] = None
            self._touch()

    def erase(self, page: Page) -> None:
        """Keep it no longer."""
        if page.is_changed:
            page.is_changed = False
            self._changed.pop(page, None)
        if page.is_stored:
            page.is_stored = False
            self._gone.update(page.erased())
            self._touch()

    def refuse(self, entry: Entry, reason: str) -> None:
        """A run cannot be kept, so it fails: before anything else happens to it."""
        self._schedule(_Refusal(entry, reason), 0)

    @property
    def bytes_max(self) -> int:
        """What may be kept of one run."""
        return self._limits.journal_bytes_max

    @property
    def store_key(self) -> str:
        """Under which it is stored."""
        return self.STORE_KEY

    def save(self) -> dict[str, bytes | None]:
        """What has changed since the last call, by part."""
        parts, self._gone = self._gone, {}
        changed, self._changed = self._changed, {}
        self._is_touched = False
        for page in changed:
            page.is_changed = False
            parts.update(page.parts())
            page.is_stored = True
        return parts

    def load(self, parts: Mapping[str, bytes], damaged: Callable[[str, Exception], None]) -> tuple[list[StoredRun], list[StoredInputs]]:
        """What was under way when the host went down. What nobody adopts is to be dropped.

        Args:
            damaged: called with the key and the error where something cannot be read.
        """
        runs: dict[str, dict[str, bytes]] = {}
        inputs: list[StoredInputs] = []
        for key, data in parts.items():
            kind, _, rest = key.partition(BETWEEN)
            names, _, part = rest.partition(BETWEEN)
            head = f"{kind}{BETWEEN}{names}{BETWEEN}"
            if kind == RUN:
                runs.setdefault(head, {})[part] = data
            elif kind == _INPUTS:
                try:
                    inputs.append(read_inputs(head, names.partition("#")[0], data))
                except StateError as error:
                    damaged(f"{self.STORE_KEY} {names}", error)
                    self.drop(key)
            elif kind != _LEFT:
                damaged(f"{self.STORE_KEY} {key!r}", StateError("it is of an unknown kind"))
                self.drop(key)
        self._load_left(parts, damaged)
        found = [read_run(head, head.split(BETWEEN)[1], its) for head, its in runs.items()]
        self._count = max([self._count, *(stored.ordinal for stored in found)])
        return sorted(found, key=lambda stored: stored.ordinal), inputs

    def _load_left(self, parts: Mapping[str, bytes], damaged: Callable[[str, Exception], None]) -> None:
        data = parts.get(self._left.key)
        if data is not None:
            try:
                self._left.read(data)
            except StateError as error:
                damaged(f"{self.STORE_KEY} {_LEFT}", error)
                self.drop(self._left.key)

    def adopt(self, run: Run, body: Body, stored: StoredRun) -> None:
        """A stored run goes on."""
        run.entry = Entry.of(self, run, body, stored)

    def drop(self, *keys: str) -> None:
        """Parts that were stored are of no use any more."""
        if keys:
            self._gone.update(dict.fromkeys(keys))
            self._touch()

    def _touch(self) -> None:
        if not self._is_touched:
            self._is_touched = True
            self._touched(self)


class _Refusal:
    """Fails a run that cannot be kept, in a turn of its own: a write must change nothing."""

    __slots__ = ("_entry", "_reason", "order")

    def __init__(self, entry: Entry, reason: str) -> None:
        self._entry = entry
        self._reason = reason
        self.order = entry.run.runner.order

    def awaits(self, due_us: int) -> bool:  # noqa: ARG002 - it waits for one moment only
        """Whether the run is still under way."""
        return not self._entry.run.over

    def due(self, due_us: int, now_us: int) -> None:  # noqa: ARG002 - it waits for one moment only
        """Fail the run."""
        entry = self._entry
        if not entry.run.over and entry.body is not None:
            entry.body.fail(entry.run, self._reason, now_us)
