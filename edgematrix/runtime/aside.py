"""Work that takes long, beside the event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from edgematrix.errors import EdgeMatrixError, RunError

__all__ = ["Aside"]

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Aside:
    """Does one thing after another in a thread.

    Args:
        back: called on the event loop with what is to be done there once something is over.
    """

    def __init__(self, back: Callable[[Callable[[], None]], None]) -> None:
        self._back = back
        self._is_closed = False

    def close(self) -> None:
        """Let nothing come back any more."""
        self._is_closed = True

    def __call__(self, work: Callable[[], T], over: Callable[[T | None, EdgeMatrixError | None], None]) -> None:
        """Call `work` in a thread, and then `over`, on the event loop, with its result or its error."""
        future = asyncio.get_running_loop().run_in_executor(None, work)
        future.add_done_callback(partial(self._done, over))

    def _done(self, over: Callable[[T | None, EdgeMatrixError | None], None], future: asyncio.Future[T]) -> None:
        if future.cancelled() or self._is_closed:
            return
        error = future.exception()
        if error is None:
            self._back(lambda: over(future.result(), None))
        elif isinstance(error, EdgeMatrixError):
            refused = error
            self._back(lambda: over(None, refused))
        else:
            _log.error("a change failed", exc_info=error)
            failed = RunError(f"an error within the host: {type(error).__name__}: {error}")
            self._back(lambda: over(None, failed))
