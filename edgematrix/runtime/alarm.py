"""Wakes the host at the engine's next deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from edgematrix.protocol.ports import Clock

__all__ = ["Alarm"]

_SLEEP_MAX_S = 3_600.0
"""The loop's clock and ours run apart by little in an hour; so a long wait is cut."""


class Alarm:
    """One timer of the event loop, set to the next deadline on the host's timeline.

    Args:
        ring: called when the deadline has come, never before.
    """

    def __init__(self, clock: Clock, ring: Callable[[], None]) -> None:
        self._clock = clock
        self._ring = ring
        self._due_us: int | None = None
        self._handle: asyncio.TimerHandle | None = None

    def set(self, due_us: int | None) -> None:
        """Ring at `due_us`, and at no other moment; None for never."""
        if due_us == self._due_us:
            return
        self._due_us = due_us
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if due_us is not None:
            wait_s = min(max(self._clock.wait_s(due_us), 0.0), _SLEEP_MAX_S)
            self._handle = asyncio.get_running_loop().call_later(wait_s, self._woken)

    def _woken(self) -> None:
        due_us, self._due_us, self._handle = self._due_us, None, None
        if due_us is not None and self._clock.now_us() < due_us:
            self.set(due_us)
        else:
            self._ring()
