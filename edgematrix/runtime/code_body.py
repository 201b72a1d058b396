"""An agent with code: a firing becomes a call, what the call returns leaves on the port `out`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from edgematrix.errors import EdgeMatrixError, RunError, StateError
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.ports import Clock
from edgematrix.runtime.code import Code
from edgematrix.runtime.code_journal import CodeJournal
from edgematrix.runtime.context import Context
from edgematrix.runtime.engine import Engine
from edgematrix.runtime.failure import reason_of, sayable
from edgematrix.runtime.firing import Firing
from edgematrix.runtime.observation import Outcome
from edgematrix.runtime.progress import Progress
from edgematrix.runtime.run import OWN_WORK, Run
from edgematrix.runtime.stored_form import pack
from edgematrix.runtime.workshop import Workshop

__all__ = ["CodeBody"]

if TYPE_CHECKING:
    from edgematrix.identity.secrets import OwnSecrets

_log = logging.getLogger(__name__)

_KIND = "code"
_NOTHING_DONE = Progress(_KIND, pack({}))


class CodeBody:
    """Calls the function of an agent for each run.

    Args:
        names: the name of each source in the group, by the id of its origin; empty for agents from a file.
        secrets: what the agent may ask for; None where its definition names none.
    """

    speaks = True
    leads = True

    def __init__(
        self,
        engine: Engine,
        code: Code,
        workshop: Workshop,
        clock: Clock,
        names: Mapping[int, str],
        secrets: OwnSecrets | None = None,
    ) -> None:
        self._engine = engine
        self._code = code
        self._workshop = workshop
        self._clock = clock
        self._names = names
        self._secrets = secrets
        self._tasks: dict[Run, asyncio.Task[None]] = {}
        self._contexts: dict[Run, Context] = {}

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
        if not self._code.waits and not self._engine.works_long:
            self._call(run, argument, Context(self._engine, run, self._clock, secrets=self._secrets), now_us)
            return
        journal = None
        if run.runner.keeps and self._code.is_async and self._code.waits:  # other code can do nothing before it returns
            journal = CodeJournal(run.runner.agent, self._engine.limits.journal_bytes_max)
        self._start(run, argument, Context(self._engine, run, self._clock, journal, self._secrets))

    def cancel(self, run: Run, now_us: int) -> None:
        """Cancel the function's task, and what it has called."""
        task = self._tasks.pop(run, None)
        if task is not None:
            task.cancel()
        context = self._contexts.pop(run, None)
        if context is not None:
            context.close(now_us)

    def fail(self, run: Run, reason: str, now_us: int) -> None:
        """Cancel the function's task, and end the run."""
        self.cancel(run, now_us)
        run.end(Outcome.FAILED, now_us, reason)

    def keep(self, run: Run) -> Progress:
        """What the code has done so far.

        Raises:
            StateError: something of it has no stored form.
        """
        context = self._contexts.get(run)
        journal = None if context is None else context.journal
        if context is None or journal is None:
            return _NOTHING_DONE
        if journal.broken:
            raise StateError(journal.broken)
        state, parts = journal.keep(context.open_calls())
        return Progress(_KIND, state, parts)

    def go_on(self, run: Run, progress: Progress, now_us: int) -> None:
        """Begin anew; what it did before is not done again.

        Raises:
            StateError: what was kept of it is damaged.
        """
        progress.check(_KIND)
        agent = run.runner.agent
        journal = CodeJournal.read(agent, self._engine.limits.journal_bytes_max, progress.state, progress.journal)
        try:
            argument = self._argument(run)
        except RunError as error:
            raise StateError(f"the code does not take what it was given any more: {error.what}") from None
        context = Context(self._engine, run, self._clock, journal, self._secrets)
        context.reopen(journal, now_us)
        self._start(run, argument, context)

    def _start(self, run: Run, argument: object, context: Context) -> None:
        self._contexts[run] = context
        self._tasks[run] = self._workshop.start(self._code, run.runner.agent, argument, context, partial(self._over, run))

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
        context = self._contexts.pop(run, None)
        if run.over or context is None:
            return
        if context.journal is not None:
            if self._engine.stopped:
                return  # it goes on at the next start
            error = _broken(context.journal, error, run.runner.agent)
        now_us = self._clock.now_us()
        context.close(now_us)
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
                    self._engine.emit(run.runner.agent, "out", value, run.trail, now_us, fits=True)
                run.end(Outcome.DONE, now_us)
        if error is not None:
            self._fail(run, error, now_us)

    def _output(self, agent: AgentPath, result: object) -> object:
        """What the function has returned, as the value for its port."""
        if self._secrets is not None:
            self._secrets.refuse_in(result, "what the function returned")  # a secret itself has no JSON form
        value = self._code.write(result)
        if self._secrets is not None:
            self._secrets.refuse_in(value, "what the function returned")
        wrong = "" if value is None else self._engine.misfit(agent, "out", value)
        if wrong:
            raise RunError(wrong, where=agent)
        return value

    def _fail(self, run: Run, error: BaseException, now_us: int) -> None:
        reason = reason_of(error)
        if not isinstance(error, EdgeMatrixError):
            _log.error("the code of %s failed", run.runner.agent, exc_info=error)
        if self._engine.redact is not None:
            reason = self._engine.redact(reason)  # code may say what it will
        run.end(Outcome.FAILED, now_us, sayable(reason))


def _broken(journal: CodeJournal, error: BaseException | None, agent: AgentPath) -> BaseException | None:
    """The error that a run ends with: code that went another way than before a restart cannot have done what it says."""
    undone = "" if error is not None else journal.undone()
    broken = journal.broken or (f"begun anew after a restart, the code came to its end, but {undone}" if undone else "")
    return RunError(broken, where=agent) if broken else error
