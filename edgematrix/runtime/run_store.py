"""Runs under way of an agent that says `durable: true` itself, as bytes: they go on after a restart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from edgematrix.agents.actions import ActionRun
from edgematrix.agents.plan import Plan
from edgematrix.errors import StateError
from edgematrix.protocol.event import Trail
from edgematrix.runtime.run import Run

__all__ = ["RunStore"]

_HEAD = "\x1erun\x1e"
"""How the part of a run begins; no captured level of a topic, and so no key of a group, begins so by accident."""


class _Stored(msgspec.Struct, array_like=True):
    version: int
    trail: Trail
    actions: bytes


_VERSION = 1
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Stored).decode


class RunStore:
    """The runs of one group that wait, and what has changed of them since somebody stored it."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._changed: dict[str, bytes | None] = {}
        self._kept: set[int] = set()

    def put(self, run: Run, actions: ActionRun) -> None:
        """Keep a run as it waits now."""
        self._kept.add(run.number)
        self._changed[f"{_HEAD}{run.number}"] = _encode(_Stored(_VERSION, run.trail, actions.dump()))
        run.runner.touch()

    def drop(self, run: Run) -> None:
        """Keep a run no longer: it is over."""
        if run.number in self._kept:
            self._kept.remove(run.number)
            self._changed[f"{_HEAD}{run.number}"] = None
            run.runner.touch()

    def take(self) -> dict[str, bytes | None]:
        """What has changed since the last call, by part."""
        changed, self._changed = self._changed, {}
        return changed

    def read(self, parts: Mapping[str, bytes]) -> Iterator[tuple[int, Trail, ActionRun]]:
        """The runs that were kept. One of another definition, or that is damaged, is left out: its group abandons it, with a trace."""
        for part, data in parts.items():
            if not part.startswith(_HEAD):
                continue
            number = int(part[len(_HEAD) :])
            self._kept.add(number)
            try:
                stored = _decode(data)
                if stored.version != _VERSION:
                    raise StateError(f"the stored run is of version {stored.version}, expected {_VERSION}")
                yield number, stored.trail, ActionRun.load(self._plan, stored.actions)
            except (msgspec.DecodeError, StateError):
                self._kept.remove(number)
                self._changed[part] = None

    @staticmethod
    def without_runs(parts: Mapping[str, bytes]) -> dict[str, bytes]:
        """The parts of the group itself."""
        return {part: data for part, data in parts.items() if not part.startswith(_HEAD)}
