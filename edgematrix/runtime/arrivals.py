"""Which inputs of calls from elsewhere have come: each is an edge of its own, so one may come long after another.

What was come of a call outlives the call, for inputs come again, or come when it is over already: such a one must not be taken for the
first of a call that is new, for the others would then be awaited for ever.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable

from edgematrix.runtime.kept_call import KeptCall

__all__ = ["Arrivals"]

_OVER_MAX = 10_000
"""Calls that are over and remembered, and those of them that are kept for a restart; beyond it the oldest is forgotten."""


class Arrivals:
    """The ports that have got their value, by run.

    Args:
        touched: told of each run of which something else is to be stored.
    """

    def __init__(self, touched: Callable[[str], None]) -> None:
        self._touched = touched
        self._open: dict[str, set[str]] = {}
        self._over: OrderedDict[str, set[str]] = OrderedDict()
        self._lacking: OrderedDict[str, KeptCall] = OrderedDict()

    def of(self, runid: str) -> set[str] | None:
        """The ports of a call that have got their value; None where nothing is known of it."""
        found = self._open.get(runid)
        return self._over.get(runid) if found is None else found

    def lacking(self, runid: str) -> KeptCall | None:
        """A call that is over, of which inputs are yet to come for certain; None where it is none."""
        return self._lacking.get(runid)

    def begin(self, runid: str, ports: Iterable[str]) -> None:
        """A call has begun, by what came on these ports."""
        self._open[runid] = set(ports)

    def came(self, runid: str, port: str) -> None:
        """Another input of a call that is known has come."""
        known = self.of(runid)
        if known is not None:
            known.add(port)
            kept = self._lacking.get(runid)
            if kept is not None:
                self._look(kept, known)

    def end(self, kept: KeptCall, *, is_certain: bool, ports: Iterable[str] = ()) -> None:
        """A call is over, or was never begun.

        Args:
            kept: what is known of it; `inputs` is how many there are.
            is_certain: whether those that have not come will come, whatever becomes of either host, so that this outlives a restart.
            ports: those that have come, where the call was not begun.
        """
        known = self._open.pop(kept.runid, None) or self._over.get(kept.runid) or set()
        known.update(ports)
        self._over[kept.runid] = known
        if len(self._over) > _OVER_MAX:
            self._over.popitem(last=False)
        if is_certain and len(known) < kept.inputs:
            self._lacking[kept.runid] = kept
            self._touched(kept.runid)
            if len(self._lacking) > _OVER_MAX:
                self._touched(self._lacking.popitem(last=False)[0])
        elif kept.runid in self._lacking:
            self._look(kept, known)

    def _look(self, kept: KeptCall, known: set[str]) -> None:
        """Keep a call that is over no longer than until all of it has come."""
        if len(known) >= kept.inputs:
            del self._lacking[kept.runid]
        self._touched(kept.runid)
