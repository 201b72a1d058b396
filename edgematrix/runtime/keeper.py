"""Keeps what outlives a restart: many changes in one transaction, each transaction one consistent cut of the host.

What has changed is collected between two turns of the engine, when nothing is half done. One transaction is written at a time,
in a thread; what changes meanwhile goes into the next one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from edgematrix.errors import StateError
from edgematrix.protocol.ports import Store
from edgematrix.runtime.engine import Engine, Keeper

__all__ = ["PART_SEPARATOR", "StateKeeper", "collect", "parts_by_owner"]

_log = logging.getLogger(__name__)

_WRITE_BEHIND_S = 0.08
"""With the time of a commit this stays below the 100 ms that docs/spec/triggers.md allows."""
_AGAIN_S = 1.0
"""When a write that failed is tried again."""

PART_SEPARATOR = "\x1f"
"""Between the owner and the part in a key of the store; no path, group or captured topic level holds it by accident."""


def _log_unsaved(key: str, reason: str) -> None:
    _log.error("what is new of %s cannot be stored, and is lost at a restart: %s", key, reason)


def collect(touched: list[Keeper], unsaved: Callable[[str, str], None] = _log_unsaved) -> dict[str, bytes | None]:
    """Take what has changed, by key of the store, and clear the list.

    Args:
        unsaved: called with the key of an owner whose state has no stored form, and why. It keeps nobody else's from being stored.
    """
    changed: dict[str, bytes | None] = {}
    for owner in touched:
        head = owner.store_key + PART_SEPARATOR
        try:
            parts = owner.save()
        except StateError as error:
            unsaved(owner.store_key, error.what)
            continue
        for part, data in parts.items():
            changed[head + part] = data
    touched.clear()
    return changed


def parts_by_owner(stored: Mapping[str, bytes]) -> dict[str, dict[str, bytes]]:
    """What the store holds, by owner and part."""
    owners: dict[str, dict[str, bytes]] = {}
    for key, data in stored.items():
        owner, _, part = key.partition(PART_SEPARATOR)
        owners.setdefault(owner, {})[part] = data
    return owners


class StateKeeper:
    """Writes what the engine's agents have touched, off the event loop.

    Args:
        committed: called when all that had been touched when a write began is stored; `receipt` is what `receipt()` gave then.
        receipt: the newest message that is in what is being collected.
        failing: called with the reason when a write fails, once until one succeeds again; then with an empty text.
    """

    def __init__(
        self,
        engine: Engine,
        store: Store,
        *,
        committed: Callable[[int], None] = lambda receipt: None,  # noqa: ARG005 - nobody waits
        receipt: Callable[[], int] = lambda: 0,
        failing: Callable[[str], None] = _log.error,
    ) -> None:
        self._engine = engine
        self._store = store
        self._committed = committed
        self._receipt = receipt
        self._failing = failing
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Future[None] | None = None
        self._changed: dict[str, bytes | None] = {}
        """What is being written, or could not be."""
        self._forgotten: set[str] = set()
        self._gone: set[str] = set()
        """Of `_forgotten`, whose states are being deleted."""
        self._unsaved: set[str] = set()
        """Whose state had no stored form once: that is told once. As many as there are agents."""
        self._taken = 0
        self._is_urgent = False
        self._is_safe = False
        """Whether somebody waits for what is being written, so that not even a loss of power may take it back."""
        self.failure = ""
        """Why nothing can be stored at present; empty where it can."""

    def load(self) -> dict[str, dict[str, bytes]]:
        """The stored parts, by owner.

        Raises:
            StateError: the store cannot be read.
        """
        return parts_by_owner(self._store.load())

    def forget(self, owners: Iterable[str]) -> None:
        """Store nothing of these any more. What one of the same name has to store from now on is stored."""
        self._forgotten.update(owners)

    def hurry(self) -> None:
        """Somebody waits for the next commit: let it begin with the end of this turn."""
        self._is_urgent = True

    @property
    def is_behind(self) -> bool:
        """Whether there is something that is not stored yet, and somebody waits for it."""
        return self._is_urgent or self._writing is not None or bool(self._changed)

    def touched(self) -> None:
        """Write soon, if there is something to write; at once, if somebody waits for it."""
        if self._writing is not None or self.failure:
            return
        if self._is_urgent:
            self._cancel_timer()
            self._write()
        elif self._timer is None and (self._engine.touched or self._forgotten):
            self._timer = asyncio.get_running_loop().call_later(_WRITE_BEHIND_S, self._write)

    async def close(self) -> None:
        """Write the rest, after what is being written."""
        self._cancel_timer()
        if self._writing is not None:
            await asyncio.wait({self._writing})
            await asyncio.sleep(0)  # its callback
            self._cancel_timer()
        if self._writing is None:
            self._take()
            if self._changed or self._gone:
                self._save(self._changed, self._gone, is_safe=self._is_safe)
            self._changed, self._gone = {}, set()
            self._committed(self._taken)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _take(self) -> None:
        """Collect what is to be written. What could not be written before is written with it: the newer word counts."""
        self._gone |= self._forgotten
        self._forgotten = set()
        for key in [key for key in self._changed if key.partition(PART_SEPARATOR)[0] in self._gone] if self._gone else ():
            del self._changed[key]
        self._changed.update(collect(self._engine.touched, self._tell_unsaved))
        self._taken = self._receipt()
        self._is_safe = self._is_urgent or bool(self.failure and self._is_safe)
        self._is_urgent = False

    def _tell_unsaved(self, key: str, reason: str) -> None:
        if key not in self._unsaved:
            self._unsaved.add(key)
            _log_unsaved(key, reason)

    def _save(self, changed: dict[str, bytes | None], forgotten: set[str], *, is_safe: bool) -> None:
        gone = {key: None for key in self._store.load() if key.partition(PART_SEPARATOR)[0] in forgotten} if forgotten else {}
        self._store.save(gone | changed, is_safe=is_safe)

    def _write(self) -> None:
        self._timer = None
        self._take()
        if self._changed or self._gone:
            save = partial(self._save, is_safe=self._is_safe)
            self._writing = asyncio.get_running_loop().run_in_executor(None, save, self._changed, self._gone)
            self._writing.add_done_callback(self._written)
        else:
            self._committed(self._taken)

    def _written(self, writing: asyncio.Future[None]) -> None:
        self._writing = None
        error = None if writing.cancelled() else writing.exception()
        if error is not None:
            self._failed(str(error))
            return
        self._changed, self._gone = {}, set()
        if self.failure:
            self.failure = ""
            self._failing("")
        self._committed(self._taken)
        self.touched()

    def _failed(self, reason: str) -> None:
        """Nothing of it is stored: it is tried again, with what has come since."""
        if not self.failure:
            self._failing(reason)
        self.failure = reason
        self._timer = asyncio.get_running_loop().call_later(_AGAIN_S, self._write)
