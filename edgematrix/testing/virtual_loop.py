"""An event loop in virtual time, for the code of agents in a simulation."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

from edgematrix.protocol.duration import SECOND_US
from edgematrix.testing.clock import VirtualClock

__all__ = ["VirtualLoop"]

_TURNS_MAX = 100_000
"""How often the loop may turn at one instant before code that never waits is taken for a hang."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Turns only when told to, never waits, and runs what would go to a thread at once.

    It reads asyncio's own queue of ready and of timed callbacks: the base class has no public name for them.
    """

    _ready: list[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]
    _timer_cancelled_count: int

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._virtual = clock
        self._start_us = clock.now_us()
        self.set_exception_handler(_told)
        self._clock_resolution = 1 / SECOND_US  # so that a callback is due in the microsecond that its moment is rounded to

    def time(self) -> float:
        """Virtual time since the start, seconds."""
        return (self._virtual.now_us() - self._start_us) / SECOND_US

    def close(self) -> None:
        """End it. Tasks that have not come to their end are gone without a word, as with a host that is killed."""
        for task in asyncio.all_tasks(self):
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001 - asyncio's own mark
        super().close()

    @property
    def deadline_us(self) -> int | None:
        """When the next timed callback is due."""
        waiting = self._scheduled
        while waiting and waiting[0].cancelled():  # as the loop itself takes them from its heap
            self._timer_cancelled_count -= 1
            handle = heapq.heappop(waiting)
            handle._scheduled = False  # type: ignore[attr-defined]  # noqa: SLF001 - asyncio's own mark
        return self._start_us + round(waiting[0].when() * SECOND_US) if waiting else None

    def turn(self) -> None:
        """Run what is ready, and what that makes ready, at this instant.

        Raises:
            RuntimeError: it goes on without end.
        """
        for _ in range(_TURNS_MAX):
            self.call_soon(self.stop)
            self.run_forever()
            if not self._ready and not self._is_due():
                return
        raise RuntimeError(f"agents' code did not come to rest within {_TURNS_MAX} turns of the loop")

    def run_in_executor(  # type: ignore[override]  # typeshed's form needs generics that Python 3.11 lacks
        self,
        executor: Executor | None,  # noqa: ARG002 - as the base class has it
        func: Callable[..., Any],
        *args: Any,
    ) -> asyncio.Future[Any]:
        """Call at once: threads would make a simulation differ from run to run."""
        future: asyncio.Future[Any] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - whoever awaits it gets it, as from a thread
            future.set_exception(error)
        return future

    def _is_due(self) -> bool:
        deadline_us = self.deadline_us
        return deadline_us is not None and deadline_us <= self._virtual.now_us()


def _told(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Say what nobody has asked for; whoever pressed Ctrl-C while code was at work has heard of it already."""
    if not isinstance(context.get("exception"), KeyboardInterrupt):
        loop.default_exception_handler(context)
