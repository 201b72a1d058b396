"""A moment at which an open call is looked at."""

from __future__ import annotations

from collections.abc import Callable

from edgematrix.runtime.call import Call
from edgematrix.runtime.calls import Calls

__all__ = ["CallLimit"]


class CallLimit:
    """What is looked at again, should a call be open by then. A timer of the engine."""

    __slots__ = ("_call", "_calls", "_over")
    order = 0

    def __init__(self, calls: Calls, call: Call, over: Callable[[Call, int], None]) -> None:
        self._calls = calls
        self._call = call
        self._over = over

    def awaits(self, due_us: int) -> bool:  # noqa: ARG002 - it waits for one moment only
        """Whether the call is open."""
        return self._calls.open.get(self._call.runid) is self._call

    def due(self, due_us: int, now_us: int) -> None:
        """Look at it."""
        if self.awaits(due_us):
            self._over(self._call, now_us)
