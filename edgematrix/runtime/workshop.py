"""Where agents' code runs: coroutines on the event loop, plain functions in a few threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from edgematrix.errors import RunError
from edgematrix.protocol.limits import Limits
from edgematrix.protocol.ports import Clock
from edgematrix.runtime.code import Code
from edgematrix.runtime.work import STALL_S, Over, Work, failure_of

__all__ = ["Workshop"]


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
        self,
        code: Code,
        path: str,
        argument: object,
        context: object,
        over: Over,
    ) -> asyncio.Task[None]:
        """Run `code` and call `over` with its result or its error; not called if the task is cancelled."""
        loop = self._loop or asyncio.get_running_loop()
        coroutine = code.function(argument, context) if code.is_async else self._in_thread(code, argument, context)
        task = loop.create_task(Work(coroutine, path, self._clock, self._stalled, self._leave, over), name=path)
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
        except BaseException as end:
            failure = failure_of(end, path)
            if failure is None:
                raise
            raise failure from end
        finally:
            took_s = -self._clock.wait_s(began_us)  # real time, also where the host's own goes faster
            if took_s > STALL_S:
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

    async def _in_thread(self, code: Code, argument: object, context: object) -> object:
        return await asyncio.get_running_loop().run_in_executor(self._pool(), code.function, argument, context)

    def _leave(self) -> None:
        """The run of the current task is over: its place is free for what follows from it."""
        task = asyncio.current_task()
        if task is not None:
            self._tasks.discard(task)

    def _pool(self) -> ThreadPoolExecutor:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._limits.threads_max, thread_name_prefix="agent")
        return self._threads


_CLOSE_S = 1.0
