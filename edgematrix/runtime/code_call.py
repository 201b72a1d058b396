"""A call that an agent's code makes: awaited until its end, with the pieces of its output on the way."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from msgspec import structs

from edgematrix.errors import RunError
from edgematrix.protocol.duration import SECOND_US, format_duration
from edgematrix.protocol.event import tainted
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.ports import Clock
from edgematrix.runtime.call import Call
from edgematrix.runtime.code_journal import CallEnd, CodeJournal
from edgematrix.runtime.engine import ANSWER, Engine
from edgematrix.runtime.failure import reason_of, sayable
from edgematrix.runtime.kept_call import KeptCall
from edgematrix.runtime.observation import Outcome, StepBegan, StepEnded
from edgematrix.runtime.part import Part
from edgematrix.runtime.run import Run

__all__ = ["CodeCall", "OnPart", "answer_of"]

OnPart: TypeAlias = Callable[[Part], Awaitable[None] | None]
"""Called with each piece, in order; where it returns something to await, that is awaited before the next."""

_ELSEWHERE_US = 60 * SECOND_US
"""How long the answer of a board is waited for where nobody says: it may never come."""
_PARTS_MAX = 10_000
"""Pieces that wait for a slow `on_part`; beyond it the oldest are lost, which the next one tells."""


class CodeCall:
    """One call. A timer of the engine.

    Args:
        number: of this call among those of the run.
        journal: what the run does is kept there; None where it does not go on after a restart.
    """

    def __init__(self, engine: Engine, run: Run, clock: Clock, number: int, journal: CodeJournal | None) -> None:
        self.order = run.runner.order
        self._engine = engine
        self._run = run
        self._clock = clock
        self._number = number
        self._journal = journal
        self._on_part: OnPart | None = None
        self._parts: deque[Part] = deque()
        self._lost = 0
        self._changed = asyncio.Event()
        self._call: Call | None = None
        self._began_us = 0
        self._until_us: int | None = None
        self._over = False
        self._waiting: asyncio.Task[object] | None = None
        """What waits for the end."""

    def begin(self, receiver: AgentPath, port: str, value: object, timeout_us: int | None, on_part: OnPart | None) -> None:
        """Call.

        Args:
            timeout_us: how long to wait; None for as long as it takes, or for 60 s where the receiver is a board.

        Raises:
            RunError: nobody has this port.
        """
        engine, run = self._engine, self._run
        now_us = self._began_us = self._clock.now_us()
        inputs = ((port, value),)
        call = self._call = engine.call(run.runner.agent, receiver, inputs, run.trail, now_us, self._answered)
        call.by = None if self._journal is None else run
        engine.observe(StepBegan(now_us, run.runner.agent, run.trail.runid, self._number, receiver, call.runid, inputs))
        self._listen(on_part)
        if timeout_us is None and not call.is_here and call.afar is None:
            timeout_us = _ELSEWHERE_US
        if timeout_us is not None:
            self._until_us = now_us + timeout_us
            engine.schedule(self, self._until_us)
        engine.settle(now_us)

    def reopen(self, kept: KeptCall, now_us: int) -> None:
        """Go on with a call that was open when the host went down; its time goes on too."""
        self._began_us = now_us
        run = self._run
        call = self._call = self._engine.calls.reopen(kept, self._answered, run)
        self._engine.trace(StepBegan(now_us, run.runner.agent, run.trail.runid, self._number, call.receiver, call.runid, ()))
        self._until_us = kept.until_us
        if kept.until_us is not None:
            self._engine.schedule(self, kept.until_us)

    def keep(self) -> KeptCall | None:
        """The call as long as it is open; else None."""
        return None if self._call is None or self._over else self._engine.calls.keep(self._call, self._until_us)

    async def answer(self, on_part: OnPart | None = None) -> object:
        """Wait for the end.

        Args:
            on_part: called with pieces from now on, where nobody has had them so far.

        Returns:
            What the receiver put out on `out`; else on the only port that it used, or by port where it used several; None where it
            returned nothing.

        Raises:
            RunError: it failed, or did not answer in time.
        """
        call = self._call
        assert call is not None  # noqa: S101 - it was begun
        if on_part is not None:
            self._listen(on_part)
        self._waiting = asyncio.current_task()
        try:
            await self._wait()
        except asyncio.CancelledError:
            self._hang_up(CallEnd(given_up=True))
            raise
        except Exception as error:
            self._hang_up(CallEnd(failure=sayable(reason_of(error))))
            raise
        finally:
            self._waiting = None
        return answer_of(_end_of(call), self._run)

    def close(self, now_us: int) -> None:
        """The run is over: stop what works on it, and what waits for it beside the run's own code."""
        if self._call is None or self._over:
            return
        self._over = True
        self._engine.hang_up(self._call, now_us)
        self._observe_end(self._run, Outcome.CANCELLED, {}, "", now_us)
        if self._waiting is not None and not self._waiting.cancelling():
            self._waiting.cancel()

    def awaits(self, due_us: int) -> bool:  # noqa: ARG002 - it waits for one moment only
        """Whether it is still waited for."""
        return self._call is not None and not self._over

    def due(self, due_us: int, now_us: int) -> None:  # noqa: ARG002 - it waits for one moment only
        """The time is up."""
        call = self._call
        if call is None or self._over:
            return
        self._engine.hang_up(call, now_us)
        call.failure = f"no answer within {format_duration((self._until_us or 0) - self._began_us)}"
        self._answered(call, now_us)

    def _listen(self, on_part: OnPart | None) -> None:
        """Hand pieces to `on_part`."""
        self._on_part = on_part
        if on_part is not None and self._call is not None:
            self._call.part_heard = self._part_heard

    async def _wait(self) -> None:
        """Hand over pieces until the call is over and none is left."""
        while True:
            while self._parts and self._on_part is not None:
                part = self._parts.popleft()
                if self._lost:
                    part, self._lost = structs.replace(part, lost=part.lost + self._lost), 0
                self._run.trail = tainted(self._run.trail, part.taint)
                waiting = self._on_part(part)
                if inspect.isawaitable(waiting):
                    await waiting
            if self._over:
                return
            self._changed.clear()
            await self._changed.wait()

    def _part_heard(self, call: Call, part: Part, now_us: int) -> None:  # noqa: ARG002 - it has one call
        if len(self._parts) >= _PARTS_MAX:
            self._lost += self._parts.popleft().lost + 1
        self._parts.append(part)
        self._changed.set()

    def _answered(self, call: Call, now_us: int) -> None:
        self._over = True
        run = self._run
        outcome = Outcome.FAILED if call.failure else Outcome.DONE
        self._observe_end(run, outcome, call.outputs, call.failure, now_us)
        self._changed.set()
        if self._journal is not None:
            self._journal.ended(self._number, _end_of(call))
            run.touched()

    def _hang_up(self, end: CallEnd) -> None:
        """Whoever waited was cancelled, or `on_part` failed: stop what works on it.

        Not where that is for the host goes down, and the run goes on when it is back.
        """
        if self._call is None or self._over or (self._journal is not None and self._engine.stopped):
            return
        self._over = True
        if self._journal is not None:
            self._journal.ended(self._number, end)
            self._run.touched()
        now_us = self._clock.now_us()
        self._engine.hang_up(self._call, now_us)
        self._observe_end(self._run, Outcome.CANCELLED, {}, "", now_us)
        self._engine.settle(now_us)

    def _observe_end(self, run: Run, outcome: Outcome, outputs: Mapping[str, object], reason: str, now_us: int) -> None:
        self._engine.observe(StepEnded(now_us, run.runner.agent, run.trail.runid, self._number, outcome, outputs, reason))


def _end_of(call: Call) -> CallEnd:
    return CallEnd(call.outputs, f"{call.receiver}: {call.failure}" if call.failure else "", call.taint)


def answer_of(end: CallEnd, run: Run) -> object:
    """What an ended call gives to the run that made it, with its taint.

    Raises:
        RunError: it failed.
    """
    run.trail = tainted(run.trail, end.taint)
    if end.failure:
        raise RunError(end.failure, where=run.runner.agent)
    if ANSWER in end.outputs:
        return end.outputs[ANSWER]
    if len(end.outputs) > 1:
        return dict(end.outputs)
    return next(iter(end.outputs.values()), None)
