"""Lets models score windows, each in a thread of its own beside the event loop; agents with the same file share one."""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol, runtime_checkable

import msgspec

from edgematrix.errors import ModelError
from edgematrix.models.onnx_wire import Scored, Signature
from edgematrix.models.process import ModelProcess
from edgematrix.protocol.ports import Clock
from edgematrix.runtime.code import Code
from edgematrix.runtime.model_threads import failure_told
from edgematrix.runtime.workshop import Workshop

__all__ = ["WAITING_MAX", "ModelWanted", "Scorer", "Scorers", "Told", "WindowModel"]

WAITING_MAX: Final = 64
"""Windows that one model has to score, the one that it works on included."""
_AWAKE_S: Final = 0.000_3
"""For how long the loop stays awake for an answer, where the last one came within that: to wake up costs as much as a small model."""
_LOOKS: Final = 8
"""For the answer, of a microsecond each, before the loop goes round."""

Told = Callable[[Scored | None, str, int], None]
QuickOver = Callable[[Scored | None, ModelError | None], None]


class WindowModel(Protocol):
    """What scores windows. It blocks."""

    def score(self, values: bytes, timeout_s: float) -> Scored:
        """What the model makes of a window. Raises ModelError."""

    def close(self) -> None:
        """Let go of all that it holds."""


class ModelWanted(msgspec.Struct, frozen=True):
    """Which model an agent uses. Those that are alike share one process."""

    name: str
    file: Path
    signature: Signature
    memory_bytes_max: int | None = None
    classes: tuple[str, ...] = ()


class Scorer:
    """Asks one model for one agent."""

    def __init__(self, desk: _Desk, agent: str, workshop: Workshop, clock: Clock) -> None:
        self._desk = desk
        self._agent = agent
        self._workshop = workshop
        self._clock = clock
        self._code = Code(self._ask, agent, object, object, is_async=True)

    def score(self, values: bytes, timeout_s: float, told: Told) -> Callable[[], None]:
        """Ask; `told(scored, error, now_us)` is called once, unless the function that is returned was called before."""

        def over(result: object, error: BaseException | None) -> None:
            now_us = self._clock.now_us()
            if isinstance(result, Scored):
                told(result, "", now_us)
            else:
                told(None, failure_told(error, f"the model of {self._agent}"), now_us)

        quick = self._desk.quick(values, timeout_s, partial(self._quick_over, told))
        if quick is not None:
            return quick
        task = self._workshop.start(self._code, self._agent, (values, timeout_s), None, over)

        def give_up() -> None:
            task.cancel()

        return give_up

    def _quick_over(self, told: Told, scored: Scored | None, error: ModelError | None) -> None:
        told(scored, "" if error is None else str(error), self._clock.now_us())

    async def _ask(self, asked: tuple[bytes, float], _context: object) -> Scored:
        return await self._desk.take(*asked)


class _Desk:
    """The one thread that asks a model, and how many wait for it."""

    def __init__(self, name: str, model: WindowModel, *, is_quick: bool) -> None:
        self._name = name
        self.model = model
        self._quick: _Quick | None = model if is_quick and isinstance(model, _Quick) else None  # the look costs as much as an answer
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="onnx")
        self._waiting = 0
        self._listening: _Listening | None = None

    async def take(self, values: bytes, timeout_s: float) -> Scored:
        if self._waiting >= WAITING_MAX:
            raise ModelError(f"the model {self._name} has {self._waiting} windows to score already")
        self._waiting += 1
        try:
            if self._listening is not None:
                await self._listening.rested()  # a thread that ends the process closes what is listened to
            return await asyncio.get_running_loop().run_in_executor(self._thread, partial(self.model.score, values, timeout_s))
        finally:
            self._waiting -= 1

    def quick(self, values: bytes, timeout_s: float, over: QuickOver) -> Callable[[], None] | None:
        """Ask on the event loop itself, which takes half the time of a thread, where the model is ready for it; None where it is not."""
        model, listening = self._quick, self._listening
        if model is None or self._waiting or (listening is not None and listening.is_busy):
            return None
        pipe = model.begin(values, timeout_s)
        if pipe is None:
            return None
        if listening is None:
            listening = self._listening = _Listening(model)
        return listening.begin(pipe, timeout_s, over)

    def close(self) -> None:
        if self._listening is not None:
            self._listening.close()
        self.model.close()
        self._thread.shutdown(wait=False, cancel_futures=True)


@runtime_checkable
class _Quick(Protocol):
    """A model that is asked without waiting."""

    def begin(self, values: bytes, timeout_s: float) -> int | None:
        """Say a window; the pipe on which the answer comes, None if it cannot be said now."""

    def hear(self) -> Scored | None:
        """The answer; None if there is more to come. Raises ModelError."""

    def give_up(self, reason: str) -> ModelError:
        """Wait no longer."""


@runtime_checkable
class _Running(Protocol):
    """A model with a process."""

    process: ModelProcess


class _Listening:
    """The loop listens for a model's answers, to one question at a time. It goes on listening between two of them: that costs nothing."""

    def __init__(self, model: _Quick) -> None:
        self._model = model
        self._loop = asyncio.get_running_loop()
        self._pipe: int | None = None
        self._over: QuickOver | None = None
        self._until_s: float | None = None
        """When the answer is late, on the loop's clock; None while nothing is under way."""
        self._timeout_s = 0.0
        self._said_s = 0.0
        self._is_soon = False
        """Whether the last answer came while the loop may stay awake for it; never where there is but one processor for both."""
        self._may_be_soon = _processors() > 1
        self._there = select.poll()
        self._watch: asyncio.TimerHandle | None = None
        """Looks at that moment, or before: a timer for each question would cost more than all else here."""
        self._free: asyncio.Future[None] | None = None
        """Done once nothing is under way; None while nobody waits for it."""

    @property
    def is_busy(self) -> bool:
        """Whether a question is under way."""
        return self._until_s is not None

    def begin(self, pipe: int, timeout_s: float, over: QuickOver) -> Callable[[], None]:
        """A question was said; `over` is called with its answer, or why there is none. The function that is returned forgets it."""
        if pipe != self._pipe:
            self.rest()
            self._pipe = pipe
            self._loop.add_reader(pipe, self._readable)
            self._there.register(pipe, select.POLLIN)
        self._over = over
        self._timeout_s = timeout_s
        self._said_s = self._loop.time()
        self._until_s = until_s = self._said_s + timeout_s
        if self._watch is None or self._watch.when() > until_s:
            self._watch_until(until_s)
        if self._is_soon:
            self._loop.call_soon(self._stay_awake)

        def forget() -> None:
            if self._over is over:
                self._over = None  # the answer is heard nevertheless, for the next one comes after it

        return forget

    def _stay_awake(self) -> None:
        """Look for the answer, and let the loop go round without a rest, in which it hears of all else; but not for long."""
        if self._until_s is None:
            return
        for _ in range(_LOOKS):
            if self._there.poll(0):
                self._readable()
                return
        if self._loop.time() - self._said_s < _AWAKE_S:
            self._loop.call_soon(self._stay_awake)

    async def rested(self) -> None:
        """Wait for the end of what is under way, and listen no longer."""
        while self.is_busy:
            if self._free is None:
                self._free = self._loop.create_future()
            await asyncio.shield(self._free)
        self.rest()

    def rest(self) -> None:
        """Listen no longer: somebody else does, or nobody."""
        if self._pipe is not None:
            self._loop.remove_reader(self._pipe)
            self._there.unregister(self._pipe)
            self._pipe = None

    def _watch_until(self, when_s: float) -> None:
        if self._watch is not None:
            self._watch.cancel()
        self._watch = self._loop.call_at(when_s, self._look)

    def _look(self) -> None:
        """Stop what is late; where something else is under way by now, look again when that would be."""
        self._watch = None
        if self._until_s is None:
            return
        if self._until_s > self._loop.time():
            self._watch_until(self._until_s)
        else:
            self.stop(f"did not answer within {self._timeout_s:g} s")

    def stop(self, reason: str) -> None:
        """Wait no longer for what is under way."""
        if self.is_busy:
            self.rest()
            self._end(None, self._model.give_up(reason))

    def close(self) -> None:
        """Listen never again."""
        self.stop("is closed")
        self.rest()
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _readable(self) -> None:
        if not self.is_busy:  # it says something that nobody has asked for, or has ended: whoever asks next finds out
            self.rest()
            return
        scored, error = None, None
        try:
            scored = self._model.hear()
        except ModelError as problem:
            error = problem
            if "cannot answer" not in problem.what:
                self.rest()  # the process is gone, and its pipe with it
        if scored is not None or error is not None:
            self._end(scored, error)

    def _end(self, scored: Scored | None, error: ModelError | None) -> None:
        self._is_soon = self._may_be_soon and scored is not None and self._loop.time() - self._said_s < _AWAKE_S
        over, self._over, self._until_s = self._over, None, None
        if self._free is not None:
            self._free.set_result(None)
            self._free = None
        if over is not None:
            over(scored, error)


def _processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Scorers:
    """Makes the scorer of each agent of a host.

    Args:
        scripts: by the path of an agent what its model is to answer, in place of the real one.
        is_quick: whether models may be asked on the event loop itself; not in a simulation, whose loop waits for nothing.
    """

    def __init__(self, clock: Clock, scripts: Mapping[str, Sequence[object]] = MappingProxyType({}), *, is_quick: bool = False) -> None:
        self._clock = clock
        self._is_quick = is_quick
        self._scripts = scripts
        self._desks: dict[tuple[ModelWanted, str], _Desk] = {}

    def __call__(self, wanted: ModelWanted, agent: str, workshop: Workshop) -> Scorer:
        """Make one; nothing of a model is loaded yet.

        Raises:
            ModelError: what runs it is not installed, or a script says what it cannot say.
        """
        script = self._scripts.get(agent)
        key = wanted, "" if script is None else agent
        desk = self._desks.get(key)
        if desk is None:
            model = _real(wanted) if script is None else _fake(agent, script, wanted)
            desk = self._desks[key] = _Desk(wanted.name, model, is_quick=self._is_quick)
        return Scorer(desk, agent, workshop, self._clock)

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes of the models that run."""
        models = (desk.model for desk in self._desks.values())
        return tuple(model.process.pid for model in models if isinstance(model, _Running) and model.process.pid is not None)

    def close(self) -> None:
        """End every model. Whoever waits for one gets an error."""
        for desk in self._desks.values():
            desk.close()
        self._desks.clear()


def _fake(agent: str, script: Sequence[object], wanted: ModelWanted) -> WindowModel:
    from edgematrix.models.fake_onnx import FakeOnnx  # noqa: PLC0415 - for tests

    return FakeOnnx(agent, script, wanted.classes)


def _real(wanted: ModelWanted) -> WindowModel:
    from edgematrix.models.onnx_model import OnnxModel, need_onnxruntime  # noqa: PLC0415 - a scenario with fakes does not need it

    need_onnxruntime(wanted.name)
    return OnnxModel(wanted.name, wanted.file, wanted.signature, memory_bytes_max=wanted.memory_bytes_max)
