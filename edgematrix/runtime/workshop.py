"""Where agents' code runs: coroutines on the event loop, plain functions in a few threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from edgematrix.errors import RunError
from edgematrix.protocol.limits import Limits
from edgematrix.protocol.ports import Clock
from edgematrix.runtime.code import Code

__all__ = ["Workshop"]

_STALL_S = 0.1
"""How long one step of a coroutine may keep the loop from turning before it is traced."""


class Workshop:
    """Runs code, a bounded number of runs at a time.

    Args:
        stalled: called with the path of an agent and the milliseconds for which its code held the loop.
        loop: where coroutines run; by default the loop that runs when the first one starts.
    """

    def __init__(
        self, clock: Clock, limits: Limits, stalled: Callable[[str, int], None], loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._limits = limits
        self._stalled = stalled
        self._tasks: set[asyncio.Task[None]] = set()
        self._threads: ThreadPoolExecutor | None = None

    @property
    def full(self) -> bool:
        """Whether no further run may start."""
        return len(self._tasks) >= self._limits.runs_max

    def start(
        self, code: Code, path: str, argument: object, context: object, over: Callable[[object, BaseException | None], None]
    ) -> asyncio.Task[None]:
        """Run `code` and call `over` with its result or its error; not called if the task is cancelled."""
        loop = self._loop or asyncio.get_running_loop()
        task = loop.create_task(self._work(code, path, argument, context, over), name=path)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def call(self, code: Code, path: str, argument: object, context: object) -> object:
        """Run code that waits for nothing, here and now.

        Raises:
            Exception: whatever the code raises; an end that is none of code's business, such as `SystemExit`, as a `RunError`.
        """
        began_us = self._clock.now_us()
        try:
            code.function(argument, context).send(None)
        except StopIteration as stop:
            return stop.value
        except _ENDS as end:
            raise _failure_of(end, path) from end
        finally:
            took_s = -self._clock.wait_s(began_us)  # real time, also where the host's own goes faster
            if took_s > _STALL_S:
                self._stalled(path, round(took_s * 1_000))
        raise RunError("the function waits, though nothing in it says so", where=path)

    async def close(self) -> None:
        """Cancel what runs, and wait for it. A thread that computes is not waited for: it cannot be stopped."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_CLOSE_S)
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def _work(
        self, code: Code, path: str, argument: object, context: object, over: Callable[[object, BaseException | None], None]
    ) -> None:
        result: object = None
        failure: BaseException | None = None
        task = asyncio.current_task()
        try:
            result = await self._run(code, path, argument, context)
        except Exception as error:  # noqa: BLE001 - whatever an agent's code raises fails its own run only
            failure = error
        except _ENDS as end:
            if isinstance(end, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            failure = _failure_of(end, path)
        if task is not None:
            self._tasks.discard(task)  # its place is free for what follows from it
        over(result, failure)

    async def _run(self, code: Code, path: str, argument: object, context: object) -> object:
        if code.is_async:
            return await _Timed(code.function(argument, context), self._clock, lambda ms: self._stalled(path, ms))
        return await asyncio.get_running_loop().run_in_executor(self._pool(), code.function, argument, context)

    def _pool(self) -> ThreadPoolExecutor:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._limits.threads_max, thread_name_prefix="agent")
        return self._threads


_CLOSE_S = 1.0
_ENDS = (asyncio.CancelledError, SystemExit)
"""What ends a task or the process: raised by an agent's code, it fails a run like any other error."""


def _failure_of(end: BaseException, path: str) -> RunError:
    said = f" ({end})" if str(end) else ""
    return RunError(f"the code ended by {type(end).__name__}{said}", where=path)


class _Timed:
    """Awaits a coroutine and measures each of its steps."""

    def __init__(self, coroutine: Coroutine[Any, Any, object], clock: Clock, stalled: Callable[[int], None]) -> None:
        self._coroutine = coroutine
        self._clock = clock
        self._stalled = stalled

    def __await__(self) -> Generator[Any, Any, object]:
        coroutine = self._coroutine
        answer: object = None
        error: BaseException | None = None
        while True:
            began_us = self._clock.now_us()
            try:
                waits_for = coroutine.send(answer) if error is None else coroutine.throw(error)
            except StopIteration as stop:
                return stop.value
            finally:
                took_s = -self._clock.wait_s(began_us)  # real time, also where the host's own goes faster
                if took_s > _STALL_S:
                    self._stalled(round(took_s * 1_000))
            answer = error = None
            try:
                answer = yield waits_for
            except BaseException as thrown:  # noqa: BLE001 - handed on to the coroutine, as `yield from` would
                error = thrown
