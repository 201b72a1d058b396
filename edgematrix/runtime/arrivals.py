"""Which inputs of calls from elsewhere have come: each is an edge of its own, so one may come long after another.

What has come of a call outlives the call, for inputs come again, or come when it is over already: such a one must not be taken for the
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
        self._lacking: OrderedDict[str, tuple[KeptCall, set[str]]] = OrderedDict()

    def of(self, runid: str) -> set[str] | None:
        """The ports of a call that have got their value; None where nothing is known of it."""
        found = self._open.get(runid)
        if found is None and self._lacking and runid in self._lacking:
            found = self._lacking[runid][1]
        return self._over.get(runid) if found is None else found

    def lacking(self, runid: str) -> KeptCall | None:
        """A call that is over, of which inputs are yet to come for certain; None where it is none."""
        found = self._lacking.get(runid)
        return None if found is None else found[0]

    def begin(self, runid: str, ports: Iterable[str]) -> None:
        """A call has begun, by what came on these ports."""
        self._open[runid] = set(ports)

    def came(self, runid: str, port: str) -> None:
        """Another input of a call that is known has come."""
        found = self._lacking.get(runid)
        if found is not None:
            self.end(found[0], is_certain=True, ports=(port,))
        elif (known := self.of(runid)) is not None:
            known.add(port)

    def end(self, kept: KeptCall, *, is_certain: bool, ports: Iterable[str] = ()) -> None:
        """A call is over, or was never begun.

        Args:
            kept: what is known of it; `inputs` is how many there are.
            is_certain: whether those that have not come will come, whatever becomes of either host, so that this outlives a restart.
            ports: those that have come now.
        """
        runid = kept.runid
        known = self.of(runid) or set()
        known.update(ports)
        self._open.pop(runid, None)
        self._over.pop(runid, None)
        if self._lacking.pop(runid, None) is not None:
            self._touched(runid)
        if is_certain and len(known) < kept.inputs:
            self._lacking[runid] = kept, known
            self._touched(runid)
            if len(self._lacking) > _OVER_MAX:
                self._touched(self._lacking.popitem(last=False)[0])
        else:
            self._over[runid] = known
            if len(self._over) > _OVER_MAX:
                self._over.popitem(last=False)
