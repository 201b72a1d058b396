"""A run as its hosts told it, put together: each step with the work that it called, wherever that was done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from edgematrix.protocol.moment import parse_moment

__all__ = ["UNDER_WAY", "Note", "RunTree", "Step", "Work", "every", "moment_us"]

UNDER_WAY = "under way"


class Note(msgspec.Struct):
    """Something that an agent said about a run."""

    at: str = ""
    text: str = ""


class Step(msgspec.Struct):
    """One step of a composite, or one call: `called` is the run that it is, and `works` what agents did on that."""

    step: int
    member: str
    called: str = ""
    after: list[int] = []
    state: str = ""
    began: str = ""
    took_us: int | None = None
    inputs: dict[str, object] = {}
    outputs: dict[str, object] = {}
    reason: str = ""
    works: list[Work] = []


class Work(msgspec.Struct):
    """What one agent did on a run (`edgematrix.runtime.run_account`)."""

    run: str
    path: str
    parent: str | None = None
    group: str = ""
    number: int = 0
    state: str = ""
    began: str = ""
    took_us: int | None = None
    reason: str = ""
    waits_for: str = ""
    left_out: int = 0
    inputs: dict[str, object] = {}
    outputs: dict[str, object] = {}
    notes: list[Note] = []
    steps: list[Step] = []

    @property
    def began_us(self) -> int:
        """When it began, microseconds since the epoch; 0 where that is not told as a moment."""
        return moment_us(self.began)


class RunTree:
    """Collects works from all hosts, in any order, each whole or in pieces."""

    def __init__(self) -> None:
        self.runid = ""
        """The run that was asked for; empty until a host knows it."""
        self._works: dict[tuple[str, str, str, int], Work] = {}
        self._runs: dict[str, list[Work]] = {}

    def take(self, told: object) -> None:
        """Take in a part of an answer, `{id, works}`. What is none is no word from anybody."""
        if not isinstance(told, dict) or not isinstance(told.get("works"), list):
            return
        for item in told["works"]:
            try:
                self._add(msgspec.convert(item, Work))
            except msgspec.ValidationError:
                continue
        if told["works"] and isinstance(told.get("id"), str):
            self.runid = self.runid or told["id"]

    @property
    def works(self) -> list[Work]:
        """What was done on the run itself, in order of time; what it called hangs on the steps, each once."""
        found = self._of(self.runid)
        waiting, known = list(found), {self.runid}
        while waiting:
            for step in waiting.pop().steps:
                step.works = [] if step.called in known else self._of(step.called)
                known.add(step.called)
                waiting += step.works
        return found

    def unknown(self) -> list[str]:
        """The runs that were called and that nobody has told about, in order."""
        called = (step.called for work in self._works.values() for step in work.steps if step.called)
        return [runid for runid in dict.fromkeys(called) if runid not in self._runs]

    def _of(self, runid: str) -> list[Work]:
        return sorted(self._runs.get(runid, ()), key=lambda work: work.began_us)

    def _add(self, work: Work) -> None:
        known = self._works.setdefault((work.run, work.path, work.group, work.number), work)
        if known is work:
            self._runs.setdefault(work.run, []).append(work)
            return
        numbers = {step.step for step in known.steps}
        known.steps += [step for step in work.steps if step.step not in numbers]
        known.notes += [note for note in work.notes if note not in known.notes]
        known.left_out = max(known.left_out, work.left_out)


def every(works: Iterable[Work]) -> Iterator[Work]:
    """All works of a tree, each before what it called."""
    for work in works:
        yield work
        for step in work.steps:
            yield from every(step.works)


def moment_us(text: str) -> int:
    """A moment as microseconds since the epoch; 0 for what is none."""
    try:
        return parse_moment(text)
    except (ValueError, OverflowError):
        return 0
