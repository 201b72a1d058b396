"""An agent with code: a firing becomes a call, what the call returns leaves on the port `out`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from edgematrix.errors import EdgeMatrixError, RunError
from edgematrix.protocol.ports import Clock
from edgematrix.runtime.code import Code
from edgematrix.runtime.context import Context
from edgematrix.runtime.engine import Engine
from edgematrix.runtime.firing import Firing
from edgematrix.runtime.observation import Outcome
from edgematrix.runtime.run import Run
from edgematrix.runtime.workshop import Workshop

__all__ = ["CodeBody"]

_log = logging.getLogger(__name__)


class CodeBody:
    """Calls the function of an agent for each run.

    Args:
        names: the name of each source in the group, by the id of its origin; empty for agents from a file.
    """

    speaks = True
    leads = True

    def __init__(self, engine: Engine, code: Code, workshop: Workshop, clock: Clock, names: Mapping[int, str]) -> None:
        self._engine = engine
        self._code = code
        self._workshop = workshop
        self._clock = clock
        self._names = names
        self._tasks: dict[Run, asyncio.Task[None]] = {}

    def begin(self, run: Run, now_us: int) -> None:
        """Start the function; its run ends when it returns."""
        if self._workshop.full:
            self._fail(run, RunError("the host has runs_max runs under way already", where=run.runner.agent), now_us)
            return
        try:
            argument = self._argument(run)
        except RunError as error:
            self._fail(run, error, now_us)
            return
        context = Context(self._engine, run, self._clock)
        self._tasks[run] = self._workshop.start(
            self._code, run.runner.agent, argument, context, lambda result, error: self._over(run, result, error)
        )

    def cancel(self, run: Run, now_us: int) -> None:  # noqa: ARG002 - the signature of all bodies
        """Cancel the function's task."""
        task = self._tasks.pop(run, None)
        if task is not None:
            task.cancel()

    def waits_for(self, runid: str) -> str:  # noqa: ARG002 - the signature of all bodies
        """Nobody knows what code waits for."""
        return ""

    def _argument(self, run: Run) -> object:
        if self._code.input_type is Firing:
            return Firing(run.firing, self._names)
        readings = [reading for reading in run.firing.sources.values() if reading is not None]
        return self._code.read(readings[0].value if readings else None)

    def _over(self, run: Run, result: object, error: BaseException | None) -> None:
        self._tasks.pop(run, None)
        if run.over:
            return
        now_us = self._clock.now_us()
        if error is None:
            try:
                value = self._code.write(result)
            except RunError as wrong:
                error = wrong
            else:
                if value is not None:
                    self._engine.emit(run.runner.agent, "out", value, run.trail, now_us)
                run.end(Outcome.DONE, now_us)
        if error is not None:
            self._fail(run, error, now_us)
        self._engine.settle(now_us)

    def _fail(self, run: Run, error: BaseException, now_us: int) -> None:
        if isinstance(error, EdgeMatrixError):
            reason = str(error)
        else:
            reason = f"{type(error).__name__}: {error}"
            _log.error("the code of %s failed", run.runner.agent, exc_info=error)
        run.end(Outcome.FAILED, now_us, reason)
