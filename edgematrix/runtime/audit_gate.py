"""What operators ask waits here until it is in the audit log, beside the event loop."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias

import msgspec

from edgematrix.access.audit import BEYOND, Fact, Head, Outcome
from edgematrix.errors import EdgeMatrixError, RunError, StateError
from edgematrix.protocol.codec import encode_value
from edgematrix.protocol.message import Publication
from edgematrix.protocol.moment import format_moment
from edgematrix.protocol.ports import Clock
from edgematrix.protocol.topic import Kind
from edgematrix.runtime.audit_file import AuditFile

__all__ = ["ORDERS_PER_SECOND_MAX", "AuditGate", "Written", "head_publication"]

_log = logging.getLogger(__name__)

ORDERS_PER_SECOND_MAX = 200
"""Orders that are taken within a second. What is beyond is refused, and counted in one entry."""
_WAITING_MAX = 1_000
"""Entries that wait, as when the disk hangs; beyond it no order is taken."""
_AT_ONCE_MAX = 500
"""Entries that are written in one go."""
_HEAD_S = 1.0
"""How often the head is told at most."""
_USERS_NAMED_MAX = 10

Written: TypeAlias = Callable[[int, EdgeMatrixError | None], None]
"""Called where the engine works with the entry's number, or with why it could not be written."""


class AuditGate:
    """Writes entries in a thread, several at once where several wait, and calls back when they are on the disk.

    Args:
        log: the file.
        clock: the host's time, for what the entries say.
        back: called on the event loop with what is to be done where the engine works.
        publish: told the head, at most each second.
        told: called with a sentence when the log cannot be written, and when it can be again.
    """

    def __init__(
        self,
        log: AuditFile,
        clock: Clock,
        *,
        back: Callable[[Callable[[], None]], None],
        publish: Callable[[Head], None],
        told: Callable[[str], None],
    ) -> None:
        self._log = log
        self._clock = clock
        self._back = back
        self._publish = publish
        self._told = told
        self._waiting: deque[tuple[Fact, Written]] = deque()
        self._writing: asyncio.Future[int] | None = None
        self._batch: list[tuple[Fact, Written]] = []
        self._is_failing = False
        self._is_closed = False
        self._second_s = float("-inf")
        self._second_count = 0
        self._beyond = 0
        self._beyond_users: dict[str, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._told_head = Head()

    def open(self) -> None:
        """Take up the log; what is wrong with it is told."""
        try:
            self._log.open(self.now())
        except StateError as error:
            self._told(str(error))
        self._tell_found()
        self._head_changed()

    @property
    def head(self) -> Head:
        """The last entry."""
        return self._log.head

    def now(self) -> str:
        """The present moment as entries have it."""
        return format_moment(self._clock.wall_us())

    def write_now(self, fact: Fact) -> int:
        """Write an entry and give its number; it may be called in a thread.

        Raises:
            StateError: it cannot be written.
        """
        return self._log.append([fact])

    def has_room(self, user: str) -> bool:
        """Whether another order may be taken in this second. One that may not is counted."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._second_s >= 1:
            self._second_s, self._second_count = now_s, 0
        self._second_count += 1
        if self._second_count <= ORDERS_PER_SECOND_MAX and len(self._waiting) < _WAITING_MAX:
            return True
        self._beyond += 1
        if len(self._beyond_users) < _USERS_NAMED_MAX:
            self._beyond_users[user] = None
        self._wake()
        return False

    def write(self, fact: Fact, written: Written) -> None:
        """Write an entry, and call `written` when it is on the disk. Whoever asks has found room before, so this has a bound."""
        self._waiting.append((fact, written))
        self._look()

    async def close(self) -> None:
        """Write what waits: of orders that were carried out, what came of them. What was not begun is not."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        kept = [waiting for waiting in self._waiting if waiting[0].outcome is not Outcome.BEGUN]
        self._waiting.clear()
        self._waiting.extend(kept)
        while self._writing is not None or self._waiting:
            if self._writing is None:
                self._look()
            writing = self._writing
            if writing is not None:
                await asyncio.wait([writing])
                self._over(writing)
        if self._beyond:
            with suppress(StateError):
                self._log.append([self._beyond_fact()])
        self._publish(self._log.head)
        self._log.close()

    # Inside

    def _look(self) -> None:
        if self._writing is not None or not self._waiting:
            return
        self._batch = [self._waiting.popleft() for _ in range(min(_AT_ONCE_MAX, len(self._waiting)))]
        facts = [fact for fact, _ in self._batch]
        self._writing = asyncio.get_running_loop().run_in_executor(None, self._log.append, facts)
        self._writing.add_done_callback(self._over)

    def _over(self, writing: asyncio.Future[int]) -> None:
        """Call back whoever waits for these."""
        if writing is not self._writing:
            return
        self._writing = None
        batch, self._batch = self._batch, []
        error = self._error(writing)
        first = 0 if error is not None else writing.result()
        self._tell_found()
        self._tell(error)

        def call_back() -> None:
            for number, (_, written) in enumerate(batch):
                written(first + number if error is None else 0, error)

        self._back(call_back)
        if error is None:
            self._head_changed()
        self._look()

    def _error(self, writing: asyncio.Future[int]) -> EdgeMatrixError | None:
        error = writing.exception()
        if error is None or isinstance(error, EdgeMatrixError):
            return error
        _log.error("the audit log failed", exc_info=error)
        return RunError(f"an error within the host: {type(error).__name__}: {error}")

    def _tell_found(self) -> None:
        found, self._log.found = self._log.found, ""
        if found:
            self._told(found)

    def _tell(self, error: EdgeMatrixError | None) -> None:
        if error is not None and not self._is_failing:
            self._told(f"orders are refused: {error}")
        elif error is None and self._is_failing:
            self._told("the audit log can be written again")
        self._is_failing = error is not None

    # The head, and what was too much

    def _head_changed(self) -> None:
        if self._told_head != self._log.head:
            self._wake()

    def _wake(self) -> None:
        if self._timer is None and not self._is_closed:
            self._timer = asyncio.get_running_loop().call_later(_HEAD_S, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._beyond:
            self.write(self._beyond_fact(), lambda number, error: None)  # noqa: ARG005 - nobody waits for it
            self._beyond = 0
            self._beyond_users.clear()
        self._told_head = self._log.head
        self._publish(self._told_head)

    def _beyond_fact(self) -> Fact:
        asked = {"orders": self._beyond, "users": [user[:100] for user in self._beyond_users]}
        return Fact(self.now(), "", BEYOND, "", asked, Outcome.REFUSED, f"more than {ORDERS_PER_SECOND_MAX} orders within a second")


def head_publication(root: str, name: str, head: Head, at: str) -> Publication:
    """The head as it is told: `{root}/host/{name}/audit`, retained (docs/spec/topics.md)."""
    return Publication(f"{root}/{Kind.HOST}/{name}/audit", encode_value({"v": 1, **msgspec.to_builtins(head), "at": at}), 1, retain=True)
