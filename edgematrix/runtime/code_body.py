"""An agent with code: a firing becomes a call, what the call returns leaves on the port `out`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from functools import partial

from edgematrix.errors import EdgeMatrixError, RunError
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.ports import Clock
from edgematrix.runtime.code import Code
from edgematrix.runtime.context import Context
from edgematrix.runtime.engine import Engine
from edgematrix.runtime.firing import Firing
from edgematrix.runtime.observation import Outcome
from edgematrix.runtime.run import OWN_WORK, Run
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
        if not self._code.waits and not self._engine.works_long:
            self._call(run, argument, context, now_us)
            return
        self._tasks[run] = self._workshop.start(self._code, run.runner.agent, argument, context, partial(self._over, run))

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
        if run.firing.group == OWN_WORK and len(run.firing.sources) > 1:
            return self._code.read({name: reading.value for name, reading in run.firing.sources.items() if reading is not None})
        readings = [reading for reading in run.firing.sources.values() if reading is not None]
        return self._code.read(readings[0].value if readings else None)

    def _call(self, run: Run, argument: object, context: Context, now_us: int) -> None:
        """Code that waits for nothing needs no task: the host goes on with what it returned at once."""
        try:
            result = self._workshop.call(self._code, run.runner.agent, argument, context)
        except Exception as error:  # noqa: BLE001 - whatever an agent's code raises fails its own run only
            self._fail(run, error, now_us)
        else:
            self._end(run, result, None, now_us)

    def _over(self, run: Run, result: object, error: BaseException | None) -> None:
        self._tasks.pop(run, None)
        if not run.over:
            now_us = self._clock.now_us()
            self._end(run, result, error, now_us)
            self._engine.settle(now_us)

    def _end(self, run: Run, result: object, error: BaseException | None, now_us: int) -> None:
        if error is None:
            try:
                value = self._output(run.runner.agent, result)
            except RunError as wrong:
                error = wrong
            else:
                if value is not None:
                    self._engine.emit(run.runner.agent, "out", value, run.trail, now_us)
                run.end(Outcome.DONE, now_us)
        if error is not None:
            self._fail(run, error, now_us)

    def _output(self, agent: AgentPath, result: object) -> object:
        """What the function has returned, as the value for its port."""
        value = self._code.write(result)
        wrong = "" if value is None else self._engine.misfit(agent, "out", value)
        if wrong:
            raise RunError(wrong, where=agent)
        return value

    def _fail(self, run: Run, error: BaseException, now_us: int) -> None:
        if isinstance(error, EdgeMatrixError):
            reason = str(error)
        else:
            reason = f"{type(error).__name__}: {error}"
            _log.error("the code of %s failed", run.runner.agent, exc_info=error)
        run.end(Outcome.FAILED, now_us, reason)
