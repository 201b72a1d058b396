"""Keeps the states of trigger groups through a restart: written behind, many in one transaction."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping

from edgematrix.protocol.ports import Store
from edgematrix.runtime.engine import Engine, Keeper

__all__ = ["PART_SEPARATOR", "StateKeeper", "collect", "parts_by_owner"]

_log = logging.getLogger(__name__)

_WRITE_BEHIND_S = 0.08
"""With the time of a commit this stays below the 100 ms that docs/spec/triggers.md allows."""

PART_SEPARATOR = "\x1f"
"""Between the owner and the part in a key of the store; no path, group or captured topic level holds it by accident."""


def collect(touched: list[Keeper]) -> dict[str, bytes | None]:
    """Take what has changed, by key of the store, and clear the list."""
    changed: dict[str, bytes | None] = {}
    for owner in touched:
        head = owner.store_key + PART_SEPARATOR
        for part, data in owner.save().items():
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
    """Writes what the engine's groups have touched, in groups, off the event loop."""

    def __init__(self, engine: Engine, store: Store) -> None:
        self._engine = engine
        self._store = store
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Future[None] | None = None
        self._forgotten: set[str] = set()

    def load(self) -> dict[str, dict[str, bytes]]:
        """The stored parts, by owner.

        Raises:
            StateError: the store cannot be read.
        """
        return parts_by_owner(self._store.load())

    def forget(self, owners: Iterable[str]) -> None:
        """Store nothing of these any more. What one of the same name has to store from now on is stored."""
        self._forgotten.update(owners)

    def touched(self) -> None:
        """Write soon, if there is something to write."""
        if (self._engine.touched or self._forgotten) and self._timer is None and self._writing is None:
            self._timer = asyncio.get_running_loop().call_later(_WRITE_BEHIND_S, self._write)

    async def close(self) -> None:
        """Write the rest, after what is being written."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._writing is not None:
            await asyncio.wait({self._writing})
        changed, forgotten = self._take()
        if changed or forgotten:
            self._save(changed, forgotten)

    def _take(self) -> tuple[dict[str, bytes | None], set[str]]:
        """What is to be written, and whose states are to go before."""
        forgotten, self._forgotten = self._forgotten, set()
        return collect(self._engine.touched), forgotten

    def _save(self, changed: dict[str, bytes | None], forgotten: set[str]) -> None:
        gone = {key: None for key in self._store.load() if key.partition(PART_SEPARATOR)[0] in forgotten} if forgotten else {}
        self._store.save(gone | changed)

    def _write(self) -> None:
        self._timer = None
        changed, forgotten = self._take()
        if changed or forgotten:
            self._writing = asyncio.get_running_loop().run_in_executor(None, self._save, changed, forgotten)
            self._writing.add_done_callback(self._written)

    def _written(self, writing: asyncio.Future[None]) -> None:
        self._writing = None
        error = None if writing.cancelled() else writing.exception()
        if error is not None:
            _log.error("states could not be stored: %s", error)
        self.touched()
