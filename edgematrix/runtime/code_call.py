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
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.ports import Clock
from edgematrix.runtime.calls import Call
from edgematrix.runtime.engine import ANSWER, Engine
from edgematrix.runtime.observation import Outcome, StepBegan, StepEnded
from edgematrix.runtime.part import Part
from edgematrix.runtime.run import Run

__all__ = ["CodeCall", "OnPart"]

OnPart: TypeAlias = Callable[[Part], Awaitable[None] | None]
"""Called with each piece, in order; where it returns something to await, that is awaited before the next."""

_ELSEWHERE_US = 60 * SECOND_US
"""How long an answer from elsewhere is waited for where nobody says: whoever is there may never answer."""
_PARTS_MAX = 10_000
"""Pieces that wait for a slow `on_part`; beyond it the oldest are lost, which the next one tells."""


class CodeCall:
    """One call. A timer of the engine.

    Args:
        number: of this call among those of the run.
        timeout_us: how long to wait; None for as long as it takes, or for 60 s where the receiver is elsewhere.
    """

    def __init__(self, engine: Engine, run: Run, clock: Clock, number: int, timeout_us: int | None, on_part: OnPart | None) -> None:
        self.order = run.runner.order
        self._engine = engine
        self._run = run
        self._clock = clock
        self._number = number
        self._timeout_us = timeout_us
        self._on_part = on_part
        self._parts: deque[Part] = deque()
        self._lost = 0
        self._changed = asyncio.Event()
        self._call: Call | None = None
        self._over = False

    async def answer(self, receiver: AgentPath, port: str, value: object) -> object:
        """Call, and wait for the end.

        Returns:
            What the receiver put out on `out`; else on the only port that it used, or by port where it used several; None where it
            returned nothing.

        Raises:
            RunError: nobody has this port, it failed, or did not answer in time.
        """
        engine, run = self._engine, self._run
        now_us = self._clock.now_us()
        inputs = ((port, value),)
        call = self._call = engine.call(run.runner.agent, receiver, inputs, run.trail, now_us, self._answered)
        engine.observe(StepBegan(now_us, run.runner.agent, run.trail.runid, self._number, receiver, call.runid, inputs))
        if self._on_part is not None:
            call.part_heard = self._part_heard
        timeout_us = _ELSEWHERE_US if self._timeout_us is None and not call.is_here else self._timeout_us
        if timeout_us is not None:
            engine.schedule(self, now_us + timeout_us)
            self._timeout_us = timeout_us
        engine.settle(now_us)
        try:
            await self._wait()
        finally:
            self._hang_up()
        if call.failure:
            raise RunError(f"{receiver}: {call.failure}", where=run.runner.agent)
        if call.taint:
            run.trail = structs.replace(run.trail, taint=" ".join(dict.fromkeys(f"{run.trail.taint} {call.taint}".split())))
        return _answer_of(call.outputs)

    def awaits(self, due_us: int) -> bool:  # noqa: ARG002 - it waits for one moment only
        """Whether it is still waited for."""
        return self._call is not None and not self._over

    def due(self, due_us: int, now_us: int) -> None:  # noqa: ARG002 - it waits for one moment only
        """The time is up."""
        call = self._call
        if call is None or self._over:
            return
        self._engine.hang_up(call, now_us)
        call.failure = f"no answer within {format_duration(self._timeout_us or 0)}"
        self._answered(call, now_us)

    async def _wait(self) -> None:
        """Hand over pieces until the call is over and none is left."""
        while True:
            while self._parts and self._on_part is not None:
                part = self._parts.popleft()
                if self._lost:
                    part, self._lost = structs.replace(part, lost=part.lost + self._lost), 0
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

    def _hang_up(self) -> None:
        """Whoever waited was cancelled, or `on_part` failed: stop what works on it."""
        if self._call is None or self._over:
            return
        self._over = True
        now_us = self._clock.now_us()
        self._engine.hang_up(self._call, now_us)
        self._observe_end(self._run, Outcome.CANCELLED, {}, "", now_us)
        self._engine.settle(now_us)

    def _observe_end(self, run: Run, outcome: Outcome, outputs: Mapping[str, object], reason: str, now_us: int) -> None:
        self._engine.observe(StepEnded(now_us, run.runner.agent, run.trail.runid, self._number, outcome, outputs, reason))


def _answer_of(outputs: Mapping[str, object]) -> object:
    if ANSWER in outputs:
        return outputs[ANSWER]
    if len(outputs) > 1:
        return dict(outputs)
    return next(iter(outputs.values()), None)
