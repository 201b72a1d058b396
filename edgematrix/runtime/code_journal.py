"""What an agent's code has done in a run, in order: begun anew after a restart, it does none of it again.

Code of durable agents is expected to do the same things in the same order for the same firing. What it has put out, sent or called
is counted; its n-th call gives the answer that it gave, or waits for the one that is still open.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from edgematrix.errors import RunError, StateError
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.journal import Journal, read_journal
from edgematrix.runtime.kept_call import KeptCall
from edgematrix.runtime.stored_form import pack, unpack

__all__ = ["CallEnd", "CodeJournal"]

_EFFECT, _CALL, _ENDED, _GIVEN_UP, _ASKED, _TOLD = range(6)


class CallEnd(msgspec.Struct, frozen=True, array_like=True):
    """How a call ended. `given_up`: whoever waited did so no longer."""

    outputs: Mapping[str, object] = {}
    failure: str = ""
    taint: str = ""
    given_up: bool = False


class _Step(msgspec.Struct):
    """What was done before the restart, `count` times in a row; `number` is that of a call or a request."""

    kind: int
    what: str
    count: int = 1
    number: int = 0


class _Past:
    """What was done before a restart: the steps that are yet to be done again, how calls ended, and what requests led to."""

    def __init__(self) -> None:
        self.steps: deque[_Step] = deque()
        self.ends: dict[int, CallEnd] = {}
        self.told: dict[int, str] = {}
        self.numbers = 0

    def read(self, record: list[object]) -> None:
        """Take in a record.

        Raises:
            StateError: it is damaged.
        """
        try:
            kind, first, second = record
            if kind == _ENDED:
                self.ends[msgspec.convert(first, int)] = msgspec.convert(second, CallEnd)
            elif kind == _TOLD:
                self.told[msgspec.convert(first, int)] = str(second)
            else:
                count = msgspec.convert(second, int)
                if kind == _EFFECT:
                    self.steps.append(_Step(_EFFECT, str(first), count))
                else:
                    self.steps.append(_Step(msgspec.convert(kind, int), str(first), 1, count))
                    self.numbers = max(self.numbers, count)
        except (ValueError, TypeError) as error:
            raise StateError(f"a record of its journal is damaged: {error}") from None


class CodeJournal:
    """The journal of one run.

    Args:
        agent: whose code it is.
        bytes_max: what may be kept of it.
    """

    __slots__ = ("_agent", "_bytes_max", "_journal", "_numbers", "_past", "broken", "open")

    def __init__(self, agent: AgentPath, bytes_max: int) -> None:
        self._agent = agent
        self._bytes_max = bytes_max
        self._journal: Journal | None = None
        self._past: _Past | None = None
        """None when all of it is done again."""
        self._numbers = 0
        self.open: Mapping[int, KeptCall] = _NOTHING_OPEN
        """The calls of before the restart that were open, by number."""
        self.broken = ""
        """Why the run cannot go on."""

    @classmethod
    def read(cls, agent: AgentPath, bytes_max: int, state: bytes, parts: Sequence[bytes]) -> CodeJournal:
        """The journal of a run that begins anew.

        Raises:
            StateError: it is damaged.
        """
        journal = cls(agent, bytes_max)
        past = _Past()
        for record in read_journal(parts):
            past.read(record)
        journal.open = unpack(state, dict[int, KeptCall])
        for step in past.steps:
            if step.kind == _CALL and step.number not in past.ends and step.number not in journal.open:
                raise StateError(f"nothing is known of call {step.number}")
        if past.steps:
            journal._past = past
        journal._numbers = past.numbers
        return journal

    def keep(self, open_calls: dict[int, KeptCall]) -> tuple[bytes, tuple[bytes, ...]]:
        """Its state, and what has come since the last call.

        Raises:
            StateError: something of it has no stored form.
        """
        return pack(open_calls), () if self._journal is None else self._journal.take()

    def again(self, what: str) -> bool:
        """Code is about to do something. Whether it has done so before the restart; else it is noted.

        Raises:
            RunError: it did something else then.
        """
        if self._follow(_EFFECT, what) is not None:
            return True
        tail = [] if self._journal is None else self._journal.tail
        if tail and tail[-1][0] == _EFFECT and tail[-1][1] == what:
            tail[-1] = (_EFFECT, what, msgspec.convert(tail[-1][2], int) + 1)
        else:
            self._add((_EFFECT, what, 1))
        return False

    def call(self, what: str) -> tuple[int, CallEnd | None, bool]:
        """Code is about to call: the call's number, how it ended before the restart, and whether it was made before it.

        Raises:
            RunError: it did something else then.
        """
        found = self._follow(_CALL, what)
        if found is not None:
            before, past = found
            return before.number, past.ends.get(before.number), True
        return self._number(_CALL, what), None, False

    def ended(self, number: int, end: CallEnd) -> None:
        """A call is over."""
        self._add((_ENDED, number, end))

    def ask(self, what: str) -> tuple[int, str | None]:
        """Code is about to ask for a change of the matrix: the request's number, and what it led to before the restart.

        Raises:
            RunError: it did something else then.
        """
        found = self._follow(_ASKED, what)
        if found is not None:
            before, past = found
            return before.number, past.told.get(before.number)
        return self._number(_ASKED, what), None

    def told(self, number: int, error: str) -> None:
        """What a request has led to; no error, it was done."""
        self._add((_TOLD, number, error))

    def undone(self) -> str:
        """What the code did before the restart and has not done now, though it has come to its end; empty for nothing."""
        return f"before the restart it went on with {self._past.steps[0].what}" if self._past is not None else ""

    # Inside

    def _follow(self, kind: int, what: str) -> tuple[_Step, _Past] | None:
        """The step of before the restart that this one is; None when all of them are done."""
        if self.broken:
            raise RunError(self.broken, where=self._agent)
        past = self._past
        if past is None:
            return None
        before = past.steps[0]
        if before.kind != kind or before.what != what:
            self.broken = (
                f"begun anew after a restart, the code did {what} where it did {before.what} before; "
                "the code of durable agents has to do the same things in the same order"
            )
            raise RunError(self.broken, where=self._agent)
        before.count -= 1
        if not before.count:
            past.steps.popleft()
            if not past.steps:
                self._past = None
        return before, past

    def _number(self, kind: int, what: str) -> int:
        self._numbers += 1
        self._add((kind, what, self._numbers))
        return self._numbers

    def _add(self, record: Sequence[object]) -> None:
        journal = self._journal
        if journal is None:
            journal = self._journal = Journal()
        try:
            journal.add(record)
        except StateError as error:
            self.broken = f"it cannot be kept for a restart: {error.what}"
        if journal.size > self._bytes_max:
            self.broken = f"what has to be kept of it for a restart has {journal.size} bytes, journal_bytes_max is {self._bytes_max}"


_NOTHING_OPEN: Final[Mapping[int, KeptCall]] = {}
