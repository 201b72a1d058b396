"""What lets agents that may move publish: the leases of their units."""

from __future__ import annotations

from collections.abc import Mapping

from edgematrix.protocol.ports import Clock
from edgematrix.protocol.topic import Kind
from edgematrix.runtime.held_units import HeldUnits
from edgematrix.runtime.outbound import Outbound
from edgematrix.runtime.remote_calls import DONE, END

__all__ = ["Warrant"]

_END = f"em.{Kind.OUT}.{END}"


class Warrant:
    """Of the units that a host may have. That something died, or a call, may always be told."""

    def __init__(self, units: HeldUnits, clock: Clock, *, is_linked: bool) -> None:
        self.is_linked = is_linked
        """Whether the broker is there."""
        self._units = units
        self._clock = clock

    def may_leave(self, outbound: Outbound, now_us: int) -> bool:
        """Whether what an agent wants on the bus may leave the host: it is in no unit that moves, or its lease is held."""
        if _tells_of_an_end(outbound):
            return True
        held = self._units.of(outbound.source)
        return held is None or held.tenure.is_held(now_us)

    def stamp(self, outbound: Outbound, now_us: int) -> bool:
        """Let the lease stand behind something that leaves at once; False where it may not, for it would have to wait."""
        held = self._units.of(outbound.source)
        if held is None or _tells_of_an_end(outbound):
            return True
        lapse_us = held.tenure.lapse_us
        if not self.is_linked or lapse_us is None or lapse_us <= now_us:
            return False
        outbound.fresh_s = self._clock.wait_s(lapse_us)
        if outbound.type and outbound.sequence is None:
            outbound.epoch = held.tenure.epoch
        return True


def _tells_of_an_end(outbound: Outbound) -> bool:
    """Whether it says that something goes on no more: who waits for it would wait for ever."""
    if outbound.type == "em.dead":
        return True
    return outbound.type == _END and isinstance(outbound.value, Mapping) and outbound.value.get("outcome") != DONE
