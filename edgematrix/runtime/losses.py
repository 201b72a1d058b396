"""What failover units leave behind here when they move: runs that end, and are told of."""

from __future__ import annotations

import logging
from collections.abc import Callable

from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.assembly import Assembly
from edgematrix.runtime.dead_letter import Origin
from edgematrix.runtime.held_unit import HeldUnit
from edgematrix.runtime.set_aside import UnderWay

__all__ = ["Losses"]

_log = logging.getLogger(__name__)


class Losses:
    """Kept until they can be told, which is outside any message."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._given_up: list[tuple[UnderWay, str]] = []
        """What units had under way here before a restart, which others went on with."""
        self._lost: list[tuple[HeldUnit, str]] = []
        """Units that were suspended, whose runs are still to be ended."""

    def suspended(self, held: HeldUnit, reason: str) -> None:
        """A unit is here no more."""
        self._lost.append((held, reason))

    def forfeited(self, held: HeldUnit, is_its: Callable[[AgentPath], bool], reason: str) -> bool:
        """What a unit had under way here before a restart does not go on here; whether there was any."""
        aside = self._assembly.set_aside
        found = aside.take(is_its) if aside else None
        if found is not None:
            self._given_up.append((found, f"{held.unit.path} has moved: {reason}"))
        return found is not None

    def tell(self, now_us: int) -> None:
        """End the runs of what was suspended. Those that were promised are told of: they can be begun again."""
        given_up, self._given_up = self._given_up, []
        for found, reason in given_up:
            self._assembly.give_up(found, reason, now_us, _say_damaged)
        lost, self._lost = self._lost, []
        for held, reason in lost:
            for path in sorted(held.members & self._assembly.engine.pauses.suspended):
                self._end(path, reason, now_us)

    def _end(self, path: AgentPath, reason: str, now_us: int) -> None:
        engine = self._assembly.engine
        for holder in list(engine.holders.get(path, ())):
            for run in holder.runs():
                if run.entry is not None and engine.calls.of(run.trail.runid, path) is None:
                    values = {name: None if found is None else found.value for name, found in run.firing.sources.items()}
                    origin = Origin(run.trail, firing=run.firing)
                    engine.dead_letter(path, f"{engine.root}/run/{path}", values, f"it went on elsewhere: {reason}", now_us, origin)
            holder.retire(now_us)


def _say_damaged(key: str, error: Exception) -> None:
    _log.warning("what was stored of %s is of no use: %s", key, error)
