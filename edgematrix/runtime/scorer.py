"""Lets models score windows, each in a thread of its own beside the event loop; agents with the same file share one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol

import msgspec

from edgematrix.errors import EdgeMatrixError, ModelError
from edgematrix.models.onnx_wire import Scored, Signature
from edgematrix.protocol.ports import Clock
from edgematrix.runtime.code import Code
from edgematrix.runtime.workshop import Workshop

__all__ = ["WAITING_MAX", "ModelWanted", "Scorer", "Scorers", "Told", "WindowModel"]

_log = logging.getLogger(__name__)

WAITING_MAX: Final = 64
"""Windows that one model has to score, the one that it works on included."""

Told = Callable[[Scored | None, str, int], None]


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
                told(None, self._said(error), now_us)

        task = self._workshop.start(self._code, self._agent, (values, timeout_s), None, over)

        def give_up() -> None:
            task.cancel()

        return give_up

    async def _ask(self, asked: tuple[bytes, float], _context: object) -> Scored:
        return await self._desk.take(*asked)

    def _said(self, error: BaseException | None) -> str:
        if isinstance(error, EdgeMatrixError):
            return str(error)
        _log.error("the model of %s failed", self._agent, exc_info=error)
        return f"{type(error).__name__}: {error}"


class _Desk:
    """The one thread that asks a model, and how many wait for it."""

    def __init__(self, name: str, model: WindowModel) -> None:
        self._name = name
        self.model = model
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="onnx")
        self._waiting = 0

    async def take(self, values: bytes, timeout_s: float) -> Scored:
        if self._waiting >= WAITING_MAX:
            raise ModelError(f"the model {self._name} has {self._waiting} windows to score already")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, partial(self.model.score, values, timeout_s))
        finally:
            self._waiting -= 1

    def close(self) -> None:
        self.model.close()
        self._thread.shutdown(wait=False, cancel_futures=True)


class Scorers:
    """Makes the scorer of each agent of a host.

    Args:
        scripts: by the path of an agent what its model is to answer, in place of the real one.
    """

    def __init__(self, clock: Clock, scripts: Mapping[str, Sequence[object]] = MappingProxyType({})) -> None:
        self._clock = clock
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
            desk = self._desks[key] = _Desk(wanted.name, model)
        return Scorer(desk, agent, workshop, self._clock)

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
