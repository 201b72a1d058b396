"""A trigger group in a host: its machine, its state, its deadline and its runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from msgspec import structs

from edgematrix.errors import StateError
from edgematrix.protocol.message import Message
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.runtime.dead_letter import Origin
from edgematrix.runtime.engine import Engine, Hits
from edgematrix.runtime.ledger_entry import StoredRun
from edgematrix.runtime.observation import Dropped, Fired, NotFired, Outcome, RunEnded
from edgematrix.runtime.run import Body, Run
from edgematrix.triggers import (
    Arrival,
    Cancel,
    ClockStepped,
    DeadLetter,
    Firing,
    Group,
    GroupState,
    HandedOver,
    Judged,
    Start,
    Step,
    Tick,
    describe_match,
)
from edgematrix.triggers import RunEnded as RunIsOver

__all__ = ["GroupRunner"]


class GroupRunner:
    """Feeds one group with messages and moments, and starts what it asks for.

    Args:
        order: the group's place in the matrix as written.
        durable: whether its state is to outlive the process.
        keeps: whether its runs are to go on after a restart; its state has to be durable then.
    """

    __slots__ = (
        "_deadline_us",
        "_over",
        "_runs",
        "_state",
        "agent",
        "body",
        "dirty",
        "durable",
        "engine",
        "group",
        "keeps",
        "order",
    )

    def __init__(
        self, engine: Engine, agent: AgentPath, group: Group, body: Body, order: int, *, durable: bool = True, keeps: bool = False
    ) -> None:
        self.engine = engine
        self.agent = agent
        self.group = group
        self.body = body
        self.order = order
        self.durable = durable
        self.keeps = keeps
        self.dirty = False
        self._state: GroupState | None = None
        self._deadline_us: int | None = None
        self._runs: dict[int, Run] | None = None
        """The runs under way; None before the first."""
        self._over: list[int] | None = None
        """Runs that have ended while a step's outcome is taken; None while none is."""

    @property
    def store_key(self) -> str:
        """Under which the state is stored."""
        return f"{self.agent}#{self.group.name}"

    @property
    def name(self) -> str:
        """The group's."""
        return self.group.name

    @property
    def keyed(self) -> bool:
        """Whether the group has a state for each key."""
        return self.group.plan.keyed

    def start(self, now_us: int) -> None:
        """Begin with a fresh state. A group that time alone cannot change has none before its first message.

        So an idle rule takes 500 bytes less, and of 10,000 that start none is stored.
        """
        if not self.group.plan.timeless:
            self.start_afresh(now_us)

    def start_afresh(self, now_us: int) -> None:
        """Begin with a fresh state at once; it takes the place of what is stored."""
        step = self.group.start(now_us)
        self._apply(step, now_us)
        if self.engine.skew_us:
            self._apply(self.group.step(step.state, ClockStepped(self.engine.skew_us), now_us), now_us)

    def load(self, parts: Mapping[str, bytes], damaged: Callable[[str, Exception], None]) -> bool:
        """Read a stored state. False, and `damaged` is told, if it is of no use; nothing has changed then."""
        try:
            self._state = self.group.load(parts)
        except StateError as error:
            damaged(self.store_key, error)
            return False
        return True

    def take_up(self, stored: StoredRun, now_us: int) -> Run:
        """Take up a run that was under way when the host went down.

        Raises:
            StateError: nothing can be made of what was kept of it.
        """
        run = Run(self, stored.number, stored.firing)
        run.trail = stored.trail
        self.engine.trace(Fired(now_us, self.agent, self.group.name, run.number, run.firing, run.trail.runid))
        self.body.go_on(run, stored.progress, now_us)
        if self._runs is None:
            self._runs = {}
        self._runs[run.number] = run
        self.engine.ledger.adopt(run, self.body, stored)
        return run

    def hold_calls(self) -> None:
        """Find the calls whose work waits in the state that was read."""
        calls = self.engine.calls
        for runid in self.runs_held() if calls.open else ():
            call = calls.of(runid, self.agent)
            if call is not None:
                calls.hold(call, self)

    def resume(self, now_us: int) -> None:
        """Go on from the state that was read, with the runs that were taken up."""
        assert self._state is not None  # noqa: S101 - it was read
        self._apply(self.group.resume(self._state, now_us, runs_kept=[run.number for run in self.runs()]), now_us)

    def save(self) -> dict[str, bytes | None]:
        """What has changed since the last call, by part."""
        self.dirty = False
        return {} if self._state is None else self.group.save(self._state)

    def copy(self, bytes_max: int) -> dict[str, bytes] | None:
        """The whole state by part, for another host: empty where there is none, None where it takes more than `bytes_max`.

        Raises:
            StateError: a value has no stored form.
        """
        return {} if self._state is None else self.group.copy(self._state, bytes_max)

    def touch(self) -> None:
        """What is stored of the group is no longer what it was."""
        if self.durable and not self.dirty:
            self.dirty = True
            self.engine.touched.append(self)

    def receive(self, message: Message, hits: Hits, now_us: int) -> None:
        """Take one message."""
        state = self._state or self._begun(now_us)
        calls = self.engine.calls
        if calls.open and (call := calls.of(message.trail.runid, self.agent)) is not None:
            calls.hold(call, self)
        elif calls.cancelled and calls.is_forbidden(message.trail.runid, self.agent):
            self.engine.observe(Dropped(now_us, self.agent, message.topic, "whoever asked for it does not wait any more"))
            return
        self._apply(self.group.step(state, Arrival(message, hits), now_us), now_us)

    def take_judged(self, firing: Firing, now_us: int) -> None:
        """Take a firing that a board has judged."""
        self._apply(self.group.step(self._state or self._begun(now_us), Judged(firing), now_us), now_us)

    def hand_over(self, now_us: int) -> None:
        """A board judges the group from now on, or no more."""
        if self._state is not None:
            self._apply(self.group.step(self._state, HandedOver(), now_us), now_us)

    def awaits(self, due_us: int) -> bool:
        """Whether it waits for that moment."""
        return due_us == self._deadline_us

    def due(self, due_us: int, now_us: int) -> None:
        """Let time alone change the group."""
        if due_us == self._deadline_us:
            self._deadline_us = None
            self._apply(self.group.step(self._state or self._begun(now_us), Tick(), now_us), now_us)

    def set_clock(self, skew_us: int, now_us: int) -> None:
        """Take note that the wall clock was set: it is the timeline plus `skew_us`."""
        if self._state is not None:
            self._apply(self.group.step(self._state, ClockStepped(skew_us), now_us), now_us)

    def match(self, now_us: int, key: str | None = None) -> str:
        """What the group has and what it waits for, in one line."""
        return describe_match(self.group, self._state or self.group.start(now_us).state, now_us, key)

    def ended(self, run: Run, outcome: Outcome, reason: str, now_us: int) -> None:
        """Take note that a run is over; it may let the next one start."""
        if self._runs is not None and self._runs.get(run.number) is run:
            del self._runs[run.number]
        engine = self.engine
        if run.entry is not None:
            engine.ledger.close(run)
        engine.observe(RunEnded(now_us, self.agent, self.group.name, run.number, outcome, reason, run.trail.runid))
        if not engine.calls.over(run, outcome, reason, now_us) and outcome is Outcome.FAILED and self.body.speaks:
            engine.dead_letter(
                self.agent, f"{engine.root}/run/{self.agent}", _values(run.firing), reason, now_us, Origin(run.trail, firing=run.firing)
            )
        self._go_on_after(run.number, now_us)

    def cancel(self, run: Run, now_us: int) -> None:
        """Stop a run that is under way; one that is over is left alone."""
        if not run.over:
            self._cancel(run.number, now_us)
            self._go_on_after(run.number, now_us)

    def runs(self) -> Sequence[Run]:
        """The runs under way."""
        return () if self._runs is None else tuple(self._runs.values())

    def retire(self, now_us: int) -> None:
        """End what is under way, and begin nothing any more: the agent is taken out."""
        self.durable = False
        self._deadline_us = None
        for run in self.runs():
            self._cancel(run.number, now_us)
        self.engine.calls.forget(self, f"{self.agent} was taken out")

    def runs_held(self) -> Collection[str]:
        """The runs of which work waits here to begin."""
        return () if self._state is None else self.group.runs_held(self._state)

    def waits_for(self, runid: str) -> str:
        """What its body waits for in this run."""
        return self.body.waits_for(runid)

    def _go_on_after(self, number: int, now_us: int) -> None:
        """A run is over: the next one may begin."""
        if self._over is not None:
            self._over.append(number)
        else:
            self._apply(self.group.step(self._state or self._begun(now_us), RunIsOver(number), now_us), now_us)

    def _apply(self, step: Step, now_us: int) -> None:
        """Take a step's outcome, and that of the runs that end while it is taken: a loop, for a queue may be long."""
        adopted = self._take(step, now_us)
        if not step.effects:
            return
        over = self._over = []
        try:
            self._act(step, adopted, now_us)
            while over:
                step = self.group.step(step.state, RunIsOver(over.pop(0)), now_us)
                adopted = self._take(step, now_us)
                self._act(step, adopted, now_us)
        finally:
            self._over = None

    def _begun(self, now_us: int) -> GroupState:
        """The fresh state of a group that had none."""
        self.start_afresh(now_us)
        assert self._state is not None  # noqa: S101 - it is there now
        return self._state

    def _take(self, step: Step, now_us: int) -> str:
        """Take what a step led to, but its effects; the call that its one run works for, though that follows from another run."""
        self._state = step.state
        self.touch()
        deadline_us = step.deadline_us
        if deadline_us != self._deadline_us:
            self._deadline_us = deadline_us
            if deadline_us is not None:
                self.engine.schedule(self, deadline_us)
        if step.traces and (self.engine.tracers or self.engine.observers):
            for trace in step.traces:
                self.engine.observe(NotFired(now_us, self.agent, trace))
        calls = self.engine.calls
        return calls.stepped(self, step) if calls.held and self in calls.held else ""

    def _act(self, step: Step, adopted: str, now_us: int) -> None:
        for effect in step.effects:
            if isinstance(effect, Start):
                self._begin(effect, adopted, now_us)
            elif isinstance(effect, Cancel):
                self._cancel(effect.run, now_us)
            else:
                self._dead_letter(effect, now_us)

    def _begin(self, start: Start, adopted: str, now_us: int) -> None:
        run = Run(self, start.run, start.firing)
        if adopted:
            run.trail = structs.replace(run.trail, runid=adopted)
        pauses = self.engine.pauses
        if (pauses.parts or pauses.suspended) and pauses.hold_back(self.agent, run.trail.runid, now_us):
            self._go_on_after(start.run, now_us)
            return
        if self._runs is None:
            self._runs = {}
        self._runs[start.run] = run
        engine = self.engine
        if self.body.leads:
            run.trail = engine.begin_trail(run.trail, now_us)
        engine.observe(Fired(now_us, self.agent, self.group.name, start.run, start.firing, run.trail.runid))
        if engine.calls.begun(run):
            self.body.begin(run, now_us)
            if self.keeps and not run.over:
                engine.ledger.open(run, self.body, is_called=run.trail.runid in engine.calls.open)
        else:
            run.end(Outcome.CANCELLED, now_us, "whoever asked for it does not wait any more")

    def _cancel(self, number: int, now_us: int) -> None:
        run = None if self._runs is None else self._runs.pop(number, None)
        if run is not None:
            run.over = True
            self.body.cancel(run, now_us)
            if run.entry is not None:
                self.engine.ledger.close(run)
            runid = run.trail.runid
            self.engine.observe(RunEnded(now_us, self.agent, self.group.name, number, Outcome.CANCELLED, "", runid))
            self.engine.calls.over(run, Outcome.CANCELLED, "", now_us)

    def _dead_letter(self, effect: DeadLetter, now_us: int) -> None:
        topic = topic_for(self.engine.root, Kind.OUT, self.agent, self.group.name)
        call = self.engine.calls.of(effect.firing.trail.runid, self.agent)
        if call is not None:
            self.engine.calls.fail(call.runid, effect.reason, now_us)
        else:
            origin = Origin(effect.firing.trail, firing=effect.firing)
            self.engine.dead_letter(self.agent, topic, _values(effect.firing), effect.reason, now_us, origin)


def _values(firing: Firing) -> dict[str, object]:
    """What a firing read, by source."""
    return {name: None if reading is None else reading.value for name, reading in firing.sources.items()}
