"""The threads beside the event loop in which a model is asked: so many at once, and so many that wait."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from edgematrix.errors import EdgeMatrixError, ModelError

__all__ = ["Closable", "ModelThreads", "failure_told"]

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Closable(Protocol):
    """What holds something that must be let go."""

    def close(self) -> None:
        """Let go of it."""


class ModelThreads:
    """Those of one model, or of one server with models. The model ends with them.

    Args:
        model: what ends with them.
        who: what the model is called where it has too much to do.
        work: what it has then, after the number of them.
        room: how many may be asked or wait at once.
        parallel: how many are asked at once.
    """

    def __init__(self, model: Closable, who: str, work: str, room: int, *, parallel: int = 1) -> None:
        self._who = who
        self._work = work
        self._room = room
        self._busy = 0
        self._threads = ThreadPoolExecutor(parallel, thread_name_prefix="model")
        self._finish = weakref.finalize(self, _end, model, self._threads)

    async def take(self, ask: Callable[[], T]) -> T:
        """Ask in a thread, as soon as one is free.

        Raises:
            ModelError: too many wait; or whatever asking raises.
        """
        if self._busy >= self._room:
            raise ModelError(f"{self._who} has {self._busy} {self._work} already")
        self._busy += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        finally:
            self._busy -= 1

    def close(self) -> None:
        """End the model. Whoever waits for it gets an error."""
        self._finish()


def _end(model: Closable, threads: ThreadPoolExecutor) -> None:
    model.close()
    threads.shutdown(wait=False, cancel_futures=True)


def failure_told(error: BaseException | None, who: str) -> str:
    """Why a model gave nothing, in a line; what is nobody's expected error is logged, for it is a fault of ours."""
    if isinstance(error, EdgeMatrixError):
        return str(error)
    _log.error("%s failed", who, exc_info=error)
    return f"{type(error).__name__}: {error}"
