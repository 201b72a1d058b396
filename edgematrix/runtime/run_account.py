"""A run as data: what each agent that worked on it did, in steps, from the observations that were kept of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from edgematrix.protocol.moment import format_moment
from edgematrix.runtime.account import Account, brief
from edgematrix.runtime.compactor import KEPT_LENGTH_MAX
from edgematrix.runtime.observation import Emitted, Fired, Noted, Outcome, RunEnded, StepBegan, StepEnded
from edgematrix.runtime.run_index import RunRecord

__all__ = ["UNDER_WAY", "UNKNOWN", "WaitsFor", "parts_of", "summary_of", "works_of"]

UNDER_WAY = "under way"
UNKNOWN = "unknown"
"""The state of what began in time to be kept, and ended too late for that."""

WaitsFor = Callable[[str, str], str]
"""From an agent's path and the id of a run to what the agent waits for in it; empty if it does not say."""


class _Work(NamedTuple):
    """What one agent did on a run, as it is told, and when it began."""

    told: Account
    began_us: int
    steps: dict[int, tuple[Account, int]]


def works_of(record: RunRecord, runid: str, waits_for: WaitsFor, skew_us: int) -> list[Account]:
    """What each agent did on the run of this id, and on those that it called, in order of their beginning.

    A work is `{run, parent, path, group, number, state, began, took_us, reason, inputs, outputs, steps, notes}`: `parent` is the run
    that called, null where none did, `state` an outcome or `under way`; a step is `{step, member, called, after, state, began, took_us,
    inputs, outputs, reason}`, where `called` is the run that it is. What an agent that is not done waits for is `waits_for`.
    `left_out` is told with the first work, where something was not kept.
    """
    reader = _Reader(skew_us)
    wanted = {runid}
    for seen in record.seen:
        if seen.runid in wanted:  # type: ignore[union-attr]  # an index keeps nothing without
            reader.read(seen)
            if type(seen) is StepBegan and seen.called:
                wanted.add(seen.called)
                reader.parents[seen.called] = seen.runid
    if record.ended is not None and record.runid in wanted:
        reader.read(record.ended)
    return reader.finished(record, waits_for)


def summary_of(record: RunRecord, skew_us: int) -> Account:
    """A run in one line: `{run, path, state, began, took_us, steps, left_out}`, by the agent that it began with."""
    began_us = ended_us = 0
    path, steps, open_count = "", 0, 0
    states: list[str] = []
    ends = [record.ended] if record.ended is not None else []
    for seen in (*record.seen, *ends):
        kind = type(seen)
        if kind is StepBegan:
            steps += 1
        elif seen.runid != record.runid:  # type: ignore[union-attr]
            continue
        elif isinstance(seen, Fired):
            if not path:
                path, began_us = seen.path, seen.at_us
            open_count += 1
        elif isinstance(seen, RunEnded):
            open_count -= 1
            ended_us = seen.at_us
            states.append(seen.outcome)
    state = UNDER_WAY if open_count > 0 else next((state for state in states if state != Outcome.DONE), Outcome.DONE)
    took_us = None if open_count > 0 else ended_us - began_us
    told: Account = {"run": record.runid, "path": path, "state": str(state), "began": format_moment(began_us + skew_us)}
    return {**told, "took_us": took_us, "steps": steps, "left_out": record.left_out}


class _Reader:
    """Puts observations together."""

    def __init__(self, skew_us: int) -> None:
        self.parents: dict[str, str] = {}
        self._skew_us = skew_us
        self._works: list[_Work] = []
        self._open: dict[tuple[str, str, str, int], _Work] = {}
        self._newest: dict[tuple[str, str], _Work] = {}
        """By run and path: who steps and notes are of."""

    def read(self, seen: object) -> None:
        """Take the next observation."""
        if isinstance(seen, Fired):
            self._fired(seen)
        elif isinstance(seen, RunEnded):
            work = self._open.pop((seen.runid, seen.path, seen.group, seen.run), None)
            if work is not None:
                work.told.update(state=str(seen.outcome), took_us=seen.at_us - work.began_us, reason=seen.reason)
        elif isinstance(seen, (StepBegan, StepEnded, Noted, Emitted)):
            work = self._newest.get((seen.runid, seen.path))
            if work is not None:
                self._within(work, seen)

    def finished(self, record: RunRecord, waits_for: WaitsFor) -> list[Account]:
        """All that was read, told to the end."""
        for work in self._open.values():
            told = work.told
            if record.left_out and record.ended is not None:
                told["state"] = UNKNOWN
            else:
                told["waits_for"] = waits_for(str(told["path"]), str(told["run"]))
        for work in self._works:
            work.told["steps"] = [self._told_step(work, step) for step, _ in work.steps.values()]
        if self._works and record.left_out:
            self._works[0].told["left_out"] = record.left_out
        return [work.told for work in self._works]

    def _fired(self, seen: Fired) -> None:
        inputs = {name: brief(reading.value, KEPT_LENGTH_MAX) for name, reading in seen.firing.sources.items() if reading is not None}
        told: Account = {
            "run": seen.runid,
            "parent": self.parents.get(seen.runid),
            "path": seen.path,
            "group": seen.group,
            "number": seen.run,
            "state": UNDER_WAY,
            "began": self._moment(seen.at_us),
            "took_us": None,
            "reason": "",
            "inputs": inputs,
            "outputs": {},
            "notes": [],
        }
        work = _Work(told, seen.at_us, {})
        self._works.append(work)
        self._open[seen.runid, seen.path, seen.group, seen.run] = work
        self._newest[seen.runid, seen.path] = work

    def _within(self, work: _Work, seen: StepBegan | StepEnded | Noted | Emitted) -> None:
        if isinstance(seen, StepBegan):
            work.steps[seen.step] = (self._step(seen), seen.at_us)
        elif isinstance(seen, StepEnded):
            step = work.steps.get(seen.step)
            if step is not None:
                outputs = {port: brief(value, KEPT_LENGTH_MAX) for port, value in seen.outputs.items()}
                step[0].update(state=str(seen.outcome), took_us=seen.at_us - step[1], outputs=outputs, reason=seen.reason)
        elif isinstance(seen, Emitted):
            given = work.told["outputs"]
            assert isinstance(given, dict)  # noqa: S101 - made above
            given[seen.port] = brief(seen.value, KEPT_LENGTH_MAX)
        else:
            notes = work.told["notes"]
            assert isinstance(notes, list)  # noqa: S101 - made above
            text = seen.what if isinstance(seen.what, str) else seen.what.describe()
            notes.append({"at": self._moment(seen.at_us), "text": brief(text, KEPT_LENGTH_MAX)})

    def _step(self, seen: StepBegan) -> Account:
        return {
            "step": seen.step,
            "member": seen.member,
            "called": seen.called,
            "after": list(seen.after),
            "state": UNDER_WAY,
            "began": self._moment(seen.at_us),
            "took_us": None,
            "inputs": {port: brief(value, KEPT_LENGTH_MAX) for port, value in seen.inputs},
            "outputs": {},
            "reason": "",
        }

    @staticmethod
    def _told_step(work: _Work, step: Account) -> Account:
        """A step whose end was not kept is not under way where the agent's whole work is over."""
        if step["state"] == UNDER_WAY and work.told["state"] != UNDER_WAY:
            step["state"] = UNKNOWN
        return step

    def _moment(self, at_us: int) -> str:
        return format_moment(at_us + self._skew_us)


def parts_of(works: Sequence[Account], size_of: Callable[[object], int], size_max: int) -> Iterator[list[Account]]:
    """The works in parts of a size. One that is too large for a part comes in several, each with some of its steps.

    Args:
        size_of: how many bytes something takes.
    """
    part: list[Account] = []
    room = size_max
    for work in works:
        for piece in _pieces_of(work, size_of, size_max):
            size = size_of(piece)
            if part and size > room:
                yield part
                part, room = [], size_max
            part.append(piece)
            room -= size
    yield part


def _pieces_of(work: Account, size_of: Callable[[object], int], size_max: int) -> Iterator[Account]:
    steps = work["steps"]
    assert isinstance(steps, list)  # noqa: S101 - made above
    if size_of(work) <= size_max:
        yield work
        return
    rest = {**work, "steps": []}
    taken: list[object] = []
    room = size_max - size_of(rest)
    for step in steps:
        size = size_of(step)
        if taken and size > room:
            yield {**rest, "steps": taken}
            rest = {**rest, "notes": []}
            taken, room = [], size_max - size_of(rest)
        taken.append(step)
        room -= size
    yield {**rest, "steps": taken}
