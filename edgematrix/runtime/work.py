"""One run of agents' code on the event loop: what a task drives, in one small object in place of a chain of coroutines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from edgematrix.errors import RunError
from edgematrix.protocol.ports import Clock

__all__ = ["STALL_S", "Over", "Work", "failure_of"]

STALL_S = 0.1
"""How long one step of a coroutine may keep the loop from turning before it is traced."""
_ENDS = (asyncio.CancelledError, SystemExit)
"""What ends a task or the process: raised by an agent's code, it fails a run like any other error."""

Over = Callable[[object, BaseException | None], None]
"""Called with what the code returned, or with the error that it raised."""


def failure_of(end: BaseException, path: str) -> RunError | None:
    """What an end that is none of code's business, such as `SystemExit`, means for its run; None for other errors."""
    if not isinstance(end, _ENDS):
        return None
    said = f" ({end})" if str(end) else ""
    return RunError(f"the code ended by {type(end).__name__}{said}", where=path)


class Work(Coroutine[Any, Any, None]):
    """Drives an agent's coroutine and measures each of its steps. It raises nothing but the cancellation of its own task.

    Args:
        path: the agent's.
        stalled: called with the path and the milliseconds for which a step held the loop.
        leave: called right before `over`: the run's place is free for what follows from it.
    """

    __slots__ = ("_clock", "_coroutine", "_leave", "_over", "_path", "_stalled")

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, object],
        path: str,
        clock: Clock,
        stalled: Callable[[str, int], None],
        leave: Callable[[], None],
        over: Over,
    ) -> None:
        self._coroutine = coroutine
        self._path = path
        self._clock = clock
        self._stalled = stalled
        self._leave = leave
        self._over = over

    def send(self, value: Any) -> Any:
        """Go on to the next wait."""
        return self._step(self._coroutine.send, value)

    def throw(self, *thrown: Any) -> Any:
        """Go on with an error, such as the task's cancellation."""
        return self._step(self._coroutine.throw, *thrown)

    def close(self) -> None:
        """Give it up."""
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, None]:
        """Be awaited, as every coroutine may be."""
        answer: Any = None
        while True:
            try:
                waits_for = self.send(answer)
            except StopIteration:
                return
            answer = yield waits_for

    def _step(self, step: Callable[..., Any], *given: Any) -> Any:
        began_us = self._clock.now_us()
        try:
            return step(*given)
        except StopIteration as stop:
            result, failure = stop.value, None
        except Exception as error:  # noqa: BLE001 - whatever an agent's code raises fails its own run only
            result, failure = None, error
        except _ENDS as end:
            if isinstance(end, asyncio.CancelledError) and _is_cancelled():
                raise
            result, failure = None, failure_of(end, self._path)
        finally:
            took_s = -self._clock.wait_s(began_us)  # real time, also where the host's own goes faster
            if took_s > STALL_S:
                self._stalled(self._path, round(took_s * 1_000))
        self._leave()
        self._over(result, failure)
        raise StopIteration


def _is_cancelled() -> bool:
    """Whether somebody has cancelled the task, as opposed to code that raises the error itself."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
