"""Asks a broker for the definitions that are missing, a few at a time: brokers drop what they have to queue for one client."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection

from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.ports import Transport

__all__ = ["Fetching"]

_AT_ONCE = 100
_BATCH_S = 2.0
"""How long a batch is waited for; what has not come by then may not be there yet, and is heard when it comes."""


class Fetching:
    """Subscribes to definitions one by one, until each is what is wanted.

    Args:
        head: what stands before a path in their topics.
    """

    def __init__(self, transport: Transport, head: str) -> None:
        self._transport = transport
        self._head = head
        self._waiting: deque[AgentPath] = deque()
        self._batch: set[AgentPath] = set()
        self._late: set[AgentPath] = set()
        """Asked for, and not there yet, or another one than is wanted."""
        self._timer: asyncio.TimerHandle | None = None

    def want(self, paths: Collection[AgentPath]) -> None:
        """These are missing, and nothing else."""
        gone = [path for path in (*self._batch, *self._late) if path not in paths]
        self._batch.difference_update(gone)
        self._late.difference_update(gone)
        self._leave(gone)
        self._waiting = deque(path for path in paths if path not in self._batch and path not in self._late)
        self._next()

    def heard(self, path: AgentPath, *, is_right: bool) -> None:
        """One has come."""
        if path not in self._batch and path not in self._late:
            return
        self._batch.discard(path)
        if is_right:
            self._late.discard(path)
            self._leave([path])
        else:
            self._late.add(path)
        self._next()

    def close(self) -> None:
        """Want nothing any more."""
        self.want(())

    # Inside

    def _next(self) -> None:
        """Ask for the next ones, if those before have come."""
        if self._batch:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._waiting:
            return
        self._batch = {self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))}
        self._transport.subscribe({f"{self._head}{path}": 1 for path in self._batch})
        self._timer = asyncio.get_running_loop().call_later(_BATCH_S, self._go_on)

    def _go_on(self) -> None:
        self._timer = None
        self._late |= self._batch
        self._batch = set()
        self._next()

    def _leave(self, paths: Collection[AgentPath]) -> None:
        if paths:
            self._transport.unsubscribe([f"{self._head}{path}" for path in paths])
