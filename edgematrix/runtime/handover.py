"""What a unit goes on with when it comes to this host: what was stored here, or what its former holder shared."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Protocol

from edgematrix.errors import StateError
from edgematrix.hosting.leased import members_of
from edgematrix.protocol.path import AgentPath, is_below
from edgematrix.runtime.assembly import Assembly
from edgematrix.runtime.held_unit import HeldUnit
from edgematrix.runtime.snapshot import Snapshot, snapshot_of

__all__ = ["Deliveries", "Handover"]

_log = logging.getLogger(__name__)


class Deliveries(Protocol):
    """What has been delivered to durable agents, and is to be."""

    def knows(self, receiver: str) -> bool:
        """Whether an agent is known to have taken anything so far."""

    def cursors(self, receiver: str) -> bytes:
        """What an agent has taken so far."""

    def speak(self, sender: str, epoch: int) -> None:
        """An agent is here again, and goes on with what it had taken: it speaks in this epoch."""

    def adopt(self, receiver: str, cursors: bytes, epoch: int) -> None:
        """An agent is here now: it goes on with these (empty: with nothing), and speaks in this epoch."""


class Handover:
    """Takes the state of units, and lays it out for their agents.

    Args:
        deliveries: of durable agents; None where nothing is kept.
        is_of: tells whether a path is one of a unit's.
        forfeit: called with a unit and a reason where what it had under way here does not go on here.
    """

    def __init__(
        self,
        assembly: Assembly,
        deliveries: Deliveries | None,
        is_of: Callable[[str, HeldUnit], bool],
        forfeit: Callable[[HeldUnit, str], None],
    ) -> None:
        self._assembly = assembly
        self._deliveries = deliveries
        self._is_of = is_of
        self._forfeit = forfeit
        self._stored: dict[str, Mapping[str, bytes]] = {}

    def load(self, stored: dict[str, Mapping[str, bytes]]) -> None:
        """What the host's store holds of units, by owner and part: those that it held before may go on from there."""
        self._stored = stored

    def snapshot(self, held: HeldUnit, epoch: int) -> Snapshot:
        """What it is like now."""
        deliveries, durable = self._deliveries, held.members & self._assembly.engine.durable
        cursors: dict[str, bytes] = {} if deliveries is None else {path: deliveries.cursors(path) for path in sorted(durable)}
        return snapshot_of(epoch, held.unit.definition, self._assembly.groups, held.members, cursors)

    def restore(self, held: HeldUnit, epoch: int) -> str:
        """Lay out what its agents go on with; in words, what that is."""
        kept = self._assembly.kept
        for key in [key for key in kept if self._is_of(key.partition("#")[0], held)]:
            del kept[key]
        own = {key: parts for key, parts in self._stored.items() if self._is_of(key.partition("#")[0], held)}
        for key in own:
            del self._stored[key]
        if self._is_own(held, own):
            kept.update(own)
            if self._deliveries is not None:
                for path in self._agents_of(held):
                    self._deliveries.speak(path, epoch)
            return ", with what this host had stored of it"
        self._forfeit(held, "it was on another host meanwhile")
        if own and held.heard is None:
            kept.update(own)
            return ", with what this host had stored of it"
        found = max((one for one in (held.heard, held.kept) if one is not None), key=lambda one: one.epoch, default=None)
        if held.kept is not None and found is not None and held.kept.epoch == found.epoch:
            found = held.kept  # it was taken when the unit was suspended here: nobody had it since
        held.kept = None
        self._adopt(held, found, epoch)
        if found is None:
            return ", and begins afresh: nothing is known of its state"
        if found.definition != held.unit.definition:
            return ", and begins afresh: its state is that of another definition"
        kept.update(found.groups)
        left_out = f"; without {', '.join(found.left_out)}, whose state was too large" if found.left_out else ""
        return f", and goes on with its state{left_out}"

    def _is_own(self, held: HeldUnit, own: Mapping[str, Mapping[str, bytes]]) -> bool:
        """Whether what this host had stored is the newest of it: nobody else had it since, as far as is known."""
        if held.is_restored or not (held.tenure.is_former or (held.tenure.is_first and held.heard is None)):
            return False
        deliveries, agents = self._deliveries, self._agents_of(held)
        if own or any(path in self._assembly.set_aside for path in agents):
            return True
        return deliveries is not None and any(deliveries.knows(path) for path in agents)

    def _adopt(self, held: HeldUnit, found: Snapshot | None, epoch: int) -> None:
        """Let its durable agents go on where they stood elsewhere."""
        if self._deliveries is None:
            return
        fits = found is not None and found.definition == held.unit.definition
        cursors = found.cursors if found is not None and fits else {}
        for path in self._agents_of(held):
            try:
                self._deliveries.adopt(path, cursors.get(path, b""), epoch)
            except StateError as error:
                _log.warning("what %s had taken elsewhere is not known: %s", path, error)

    def _agents_of(self, held: HeldUnit) -> list[AgentPath]:
        everywhere = {*self._assembly.agents, *self._assembly.engine.elsewhere}
        return members_of(held.unit, sorted(path for path in everywhere if path == held.unit.path or is_below(path, held.unit.path)))
