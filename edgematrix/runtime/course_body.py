"""A composite at work: a firing begins a course, whose steps become calls of its members."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from edgematrix.composition.course import (
    Composition,
    Go,
    Placing,
)
from edgematrix.errors import StateError
from edgematrix.protocol.event import Trail
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.call import ERROR
from edgematrix.runtime.conduct import Conduct
from edgematrix.runtime.engine import Engine
from edgematrix.runtime.ensemble import Chooser, Member, Thinker
from edgematrix.runtime.observation import Outcome
from edgematrix.runtime.progress import Progress
from edgematrix.runtime.questions import Questions
from edgematrix.runtime.run import Run
from edgematrix.triggers import Firing

__all__ = ["CourseBody"]


class CourseBody:
    """Carries out the courses of one composite.

    Args:
        inputs: the composite's input ports.
        members: by the names that the composition uses.
        questions: where people are asked; None where this composite asks nobody.
        chooser: the model of a chat that needs one.
        thinker: the model of an agent that is one.
    """

    speaks = True
    leads = True

    def __init__(
        self,
        engine: Engine,
        composition: Composition,
        inputs: frozenset[str],
        members: Mapping[str, Member],
        questions: Questions | None = None,
        chooser: Chooser | None = None,
        thinker: Thinker | None = None,
    ) -> None:
        self.engine = engine
        self.composition = composition
        self.members = members
        self.questions = questions
        self.chooser = chooser
        self.thinker = thinker
        self.gone: dict[AgentPath, str] = {}
        """Members elsewhere that are known not to be there, and why."""
        self.under_way: dict[str, Conduct] = {}
        """The courses under way, by the id of their run."""
        self.is_placing = isinstance(composition, Placing)
        """Whether its courses share places."""
        self._inputs = inputs
        self._woken: deque[str] | None = None
        """Runs that are to be told `Go`; None while none are."""

    def begin(self, run: Run, now_us: int) -> None:
        """Begin a course with what the firing read."""
        conduct = Conduct(self, run, self.composition.course(run.trail.runid))
        if run.trail.runid in self.under_way:
            run.end(Outcome.FAILED, now_us, "this run goes through it already")
            return
        self.under_way[run.trail.runid] = conduct
        conduct.begin(_inputs_of(run.firing, self._inputs), now_us)

    def cancel(self, run: Run, now_us: int) -> None:
        """Stop the steps of a course."""
        conduct = self.under_way.get(run.trail.runid)
        if conduct is not None and conduct.run is run:
            conduct.drop(now_us)

    def fail(self, run: Run, reason: str, now_us: int) -> None:
        """Stop the steps of a course, and end its run."""
        conduct = self.under_way.get(run.trail.runid)
        if conduct is not None and conduct.run is run:
            conduct.fail(reason, now_us)

    def keep(self, run: Run) -> Progress:
        """What the course of a run was told, and the calls that it has open.

        Raises:
            StateError: something of it has no stored form.
        """
        return self.under_way[run.trail.runid].keep()

    def go_on(self, run: Run, progress: Progress, now_us: int) -> None:
        """Take up a course that was under way when the host went down.

        Raises:
            StateError: what was kept of it is damaged.
        """
        runid = run.trail.runid
        if runid in self.under_way:
            raise StateError("this run goes through it already")
        conduct = Conduct(self, run, self.composition.course(runid))
        conduct.go_on(_inputs_of(run.firing, self._inputs), progress, now_us)
        self.under_way[runid] = conduct

    def gone_on(self, now_us: int) -> None:
        """All courses are taken up: who waits for a place that is free gets it."""
        if isinstance(self.composition, Placing):
            self.wake(self.composition.level(), now_us)

    def change(self, composition: Composition, members: Mapping[str, Member]) -> None:
        """Let runs that begin from now on follow another plan; those under way go on by theirs."""
        self.composition = composition
        self.members = members
        there = {member.path for member in members.values()}
        self.gone = {path: reason for path, reason in self.gone.items() if path in there}

    def member_changed(self, placing: Placing | None, path: AgentPath, reason: str, now_us: int) -> None:
        """A member that runs elsewhere is gone, for a reason, or back (no reason)."""
        if reason:
            self.gone[path] = reason
        else:
            self.gone.pop(path, None)
        if placing is not None:
            name = next(name for name, member in self.members.items() if member.path == path)
            self.wake(placing.gone(name) if reason else placing.back(name), now_us)

    def over(self, runid: str) -> None:
        """The course of this run is over."""
        self.under_way.pop(runid, None)

    def wake(self, runids: tuple[str, ...], now_us: int) -> None:
        """Tell `Go` to the courses of these runs, one after the other: one that is over by it may wake the next."""
        if self._woken is not None:
            self._woken.extend(runids)
            return
        woken = self._woken = deque(runids)
        try:
            while woken:
                conduct = self.under_way.get(woken.popleft())
                if conduct is not None:
                    conduct.take(Go(), now_us)
        finally:
            self._woken = None

    def tell_failure(self, run: Run, reason: str, member: str, now_us: int) -> None:
        """Put out why a run has failed."""
        self.put_out_failure(run, reason, member, run.trail, now_us)

    def put_out_failure(self, run: Run, reason: str, member: str, trail: Trail, now_us: int) -> None:
        """Put out on `error` why a run has failed: `{reason, member, run, inputs}`."""
        engine = self.engine
        values = {name: None if reading is None else reading.value for name, reading in run.firing.sources.items()}
        told = {name: _OUTGROWN if engine.excess(value, _ABOVE_INPUTS) else value for name, value in values.items()}
        about = {"reason": reason, "member": member or None, "run": run.trail.runid, "inputs": told}
        engine.emit(run.runner.agent, ERROR, about, trail, now_us)

    def waits_for(self, runid: str) -> str:
        """What the course of this run waits for; empty if there is none."""
        conduct = self.under_way.get(runid)
        return "" if conduct is None else conduct.course.waits_for()


_OUTGROWN = "(it is too deep, or too much, to be told)"
_ABOVE_INPUTS = 3
"""Levels above each input in the event that tells of a failure."""


def _inputs_of(firing: Firing, ports: frozenset[str]) -> dict[str, object]:
    """What a firing gives a composite: each source to the port of its name, else all of them to the only port there is."""
    values = {name: reading.value for name, reading in firing.sources.items() if reading is not None}
    named = {name: value for name, value in values.items() if name in ports}
    if named or len(ports) != 1:
        return named
    (port,) = ports
    return {port: next(iter(values.values())) if len(firing.sources) == 1 and values else values}
