"""The newest runs of a host, so that each can be told whole: what began it, its steps, what they led to, and how it ended.

A run that a call began belongs to the run that called, and both are kept and forgotten together. Nothing is worked out before
somebody asks: what is kept are the observations themselves, in order.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from edgematrix.runtime.observation import Emitted, Fired, Noted, Observation, RunEnded, StepBegan, StepEnded

__all__ = ["KEPT_MAX", "RUNS_MAX", "RunIndex", "RunRecord"]

RUNS_MAX = 1_000
"""Runs that no call began; the oldest is forgotten first, with all that it called."""
KEPT_MAX = 20_000
"""Observations of all runs together: 5,000 steps, about. The oldest runs go first."""
EACH_MAX = 4_000
"""Observations of one run and all that it called. What comes later is counted; only the run's own end is still kept."""


class RunRecord(msgspec.Struct, gc=False):
    """A run that no call began, and all that it called, as observations in order. `left_out` is how many are not kept."""

    runid: str
    seen: list[Observation]
    called: list[str]
    left_out: int = 0
    ended: RunEnded | None = None
    """Its own end, where that is not among `seen`."""
    unseen: dict[tuple[str, int], str] = {}
    """The calls under way of steps that are not kept: what they lead to is no run that nobody called."""


class RunIndex:
    """Keeps runs by their ids.

    Args:
        runs_max: how many, those that were called not counted.
    """

    def __init__(self, runs_max: int = RUNS_MAX) -> None:
        self._runs_max = runs_max
        self._records: dict[str, RunRecord] = {}
        """By the id of each run, a called one too."""
        self._roots: dict[str, RunRecord] = {}
        self._kept = 0
        self.forgotten_count = 0
        """Runs that had to go for newer ones."""

    def take(self, seen: Fired | RunEnded | StepBegan | StepEnded | Noted | Emitted) -> None:
        """Keep what happened in a run; it is to be small. What is told of a run that was forgotten is not kept, unless it begins anew."""
        record = self._records.get(seen.runid)
        if record is None:
            if type(seen) is not Fired or not seen.runid:
                return
            record = self._begin(seen.runid)
        if len(record.seen) >= EACH_MAX:
            self._leave_out(record, seen)
            return
        record.seen.append(seen)
        self._kept += 1
        if type(seen) is StepBegan and seen.called:
            record.called.append(seen.called)
            self._records[seen.called] = record
        if self._kept > KEPT_MAX:
            self._forget_oldest()

    def roots(self) -> Iterator[RunRecord]:
        """The runs that no call began, newest first."""
        return reversed(self._roots.values())

    def record(self, runid: str) -> RunRecord | None:
        """What is kept of a run; it may be one that the run of the record has called."""
        return self._records.get(runid)

    def is_root(self, runid: str) -> bool:
        """Whether no call that is kept began the run."""
        return runid in self._roots

    def matching(self, prefix: str) -> list[str]:
        """The ids that begin so."""
        return [runid for runid in self._records if runid.startswith(prefix)]

    def __len__(self) -> int:
        return len(self._roots)

    def _begin(self, runid: str) -> RunRecord:
        if len(self._roots) >= self._runs_max:
            self._forget_oldest()
        record = self._records[runid] = self._roots[runid] = RunRecord(runid, [], [])
        return record

    def _leave_out(self, record: RunRecord, seen: Observation) -> None:
        if type(seen) is RunEnded and seen.runid == record.runid:
            record.ended = seen
            return
        record.left_out += 1
        if type(seen) is StepBegan and seen.called:
            record.unseen[seen.runid, seen.step] = seen.called
            self._records[seen.called] = record
        elif type(seen) is StepEnded:
            called = record.unseen.pop((seen.runid, seen.step), None)
            if called is not None:
                self._records.pop(called, None)

    def _forget_oldest(self) -> None:
        oldest = next(iter(self._roots))
        record = self._roots.pop(oldest)
        for runid in (oldest, *record.called, *record.unseen.values()):
            self._records.pop(runid, None)
        self._kept -= len(record.seen)
        self.forgotten_count += 1
