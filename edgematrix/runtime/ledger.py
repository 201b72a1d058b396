"""Runs under way that nobody called: what a host that goes down leaves unfinished is dead-lettered when it comes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from edgematrix.errors import StateError
from edgematrix.protocol.event import Trail
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.run import OWN_WORK, Run
from edgematrix.triggers import Firing, Reading

__all__ = ["Ledger", "Unfinished"]

_VERSION = 1


class Unfinished(msgspec.Struct, frozen=True):
    """A run that the host did not bring to its end."""

    agent: AgentPath
    firing: Firing


class Ledger:
    """Notes runs of agents that work on what comes on their inputs. A run that is over before the next write costs no write.

    Args:
        touched: called when there is something to store.
    """

    STORE_KEY = "work"

    def __init__(self, touched: Callable[[Ledger], None]) -> None:
        self._touched = touched
        self._changed: dict[str, Run | None] = {}
        self._stored: set[str] = set()

    def open(self, run: Run) -> None:
        """A run has begun."""
        self._change(run.trail.runid, run)

    def close(self, run: Run) -> None:
        """It is over, however it ended."""
        runid = run.trail.runid
        if runid in self._stored:
            self._change(runid, None)
        else:
            self._changed.pop(runid, None)

    @property
    def store_key(self) -> str:
        """Under which it is stored."""
        return self.STORE_KEY

    def save(self) -> dict[str, bytes | None]:
        """What has changed since the last call, by the run's id."""
        changed, self._changed = self._changed, {}
        for runid, run in changed.items():
            if run is None:
                self._stored.discard(runid)
            else:
                self._stored.add(runid)
        return {runid: None if run is None else _written(run) for runid, run in changed.items()}

    def load(self, parts: Mapping[str, bytes], damaged: Callable[[str, Exception], None]) -> list[Unfinished]:
        """What was under way when the host went down; it is forgotten with the next write.

        Args:
            damaged: called with the key and the error where an entry cannot be read.
        """
        found: list[Unfinished] = []
        for runid, data in parts.items():
            self._change(runid, None)
            try:
                found.append(_read(data))
            except StateError as error:
                damaged(f"{self.STORE_KEY} {runid}", error)
        return found

    def _change(self, runid: str, run: Run | None) -> None:
        if not self._changed:
            self._touched(self)
        self._changed[runid] = run


_Entry = tuple[int, str, Trail, int, dict[str, tuple[object, object] | None]]
"""Version, agent, trail, when it began (wall clock, microseconds), and the value and topic of each input."""


def _written(run: Run) -> bytes:
    firing = run.firing
    inputs = {name: None if reading is None else (reading.value, reading.topic) for name, reading in firing.sources.items()}
    head = (_VERSION, run.runner.agent, run.trail, firing.fired_at_us)
    try:
        return msgspec.msgpack.encode((*head, inputs))
    except (OverflowError, TypeError, ValueError, RecursionError):
        return msgspec.msgpack.encode((*head, {}))  # what has no stored form is at least told of


def _read(data: bytes) -> Unfinished:
    try:
        version, agent, trail, fired_at_us, inputs = msgspec.msgpack.decode(data, type=_Entry)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StateError(f"no unfinished run: {error}") from None
    if version != _VERSION:
        raise StateError(f"the unfinished run is of version {version}, expected {_VERSION}")
    sources = {name: None if given is None else Reading(given[0], given[0], given[1], fired_at_us) for name, given in inputs.items()}
    return Unfinished(AgentPath(agent), Firing(OWN_WORK, None, sources, fired_at_us=fired_at_us, trail=trail))
