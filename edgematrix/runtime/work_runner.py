"""What an agent without trigger groups of its own does with what comes on its inputs: each begins a run.

It is the plainest of trigger groups (every message is a token, all inputs of one run are needed, any number of runs go on at
once), and does without a group's state: a step of a flow goes through here. Unlike there, null and empty texts are work too.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence

from edgematrix.protocol.message import Message
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.dead_letter import Origin
from edgematrix.runtime.engine import Engine, Hits
from edgematrix.runtime.ledger_entry import StoredRun
from edgematrix.runtime.observation import Dropped, Fired, Outcome, RunEnded
from edgematrix.runtime.partial_inputs import PartialInputs, StoredInputs
from edgematrix.runtime.run import OWN_WORK, Body, Run
from edgematrix.triggers import Firing, Reading

__all__ = ["WorkRunner"]

_PARTIAL_MAX = 1_000
"""Runs of which some inputs have come and others have not; beyond it the oldest gives way."""


class WorkRunner:
    """Begins a run for each message, or, where there are several inputs, for each set of messages of one run.

    Args:
        ports: the input ports; the index of a hit is the place of its port here.
        order: the agent's place in the matrix as written.
        keeps: whether its runs go on after a restart.
    """

    __slots__ = ("_count", "_partial", "_ports", "_runs", "agent", "body", "engine", "keeps", "order")
    name = OWN_WORK
    is_work = True
    """Whether its runs are work that somebody gave it, which may be handed in again."""

    def __init__(self, engine: Engine, agent: AgentPath, ports: Sequence[str], body: Body, order: int, *, keeps: bool = False) -> None:
        self.engine = engine
        self.agent = agent
        self.body = body
        self.order = order
        self.keeps = keeps
        self._ports = tuple(ports)
        self._runs: dict[int, Run] = {}
        self._count = 0
        self._partial: OrderedDict[str, PartialInputs] | None = None

    def receive(self, message: Message, hits: Hits, now_us: int) -> None:
        """Take one message. A retained one is no work: it would be done again at each start."""
        if message.retained:
            reason = "a retained message is no work: it would be done again at each start"
            origin = Origin(message.trail, message.source)
            self.engine.dead_letter(self.agent, message.topic, message.value, reason, now_us, origin)
            return
        if len(self._ports) == 1:
            self._begin({self._ports[0]: message}, now_us)
            return
        partial = self._partial
        if partial is None:
            partial = self._partial = OrderedDict()
        runid = message.trail.runid
        held = partial.get(runid)
        if held is None:
            held = partial[runid] = PartialInputs(runid)
        for index, _ in hits:
            held.messages[self._ports[index]] = message
        call = self.engine.calls.open.get(runid)
        # Who calls gives all that there is to give: nothing more comes to an input that a flow has skipped.
        awaited = len(self._ports) if call is None or call.receiver != self.agent else call.inputs
        if len(held.messages) >= awaited:
            self._let_go(runid)
            self._begin(held.messages, now_us)
        elif self.engine.calls.is_forbidden(runid, self.agent):
            self._let_go(runid)
            self.engine.observe(Dropped(now_us, self.agent, message.topic, "whoever asked for it does not wait any more"))
        else:
            if self.keeps:
                self.engine.ledger.hold(self.agent, held)
            if len(partial) > _PARTIAL_MAX:
                oldest = next(iter(partial))
                self._give_up(oldest, self._let_go(oldest).messages, now_us)

    def ended(self, run: Run, outcome: Outcome, reason: str, now_us: int) -> None:
        """A run is over."""
        self._runs.pop(run.number, None)
        engine = self.engine
        if run.entry is not None:
            engine.ledger.close(run)
        engine.observe(RunEnded(now_us, self.agent, OWN_WORK, run.number, outcome, reason, run.trail.runid))
        if not engine.calls.over(run, outcome, reason, now_us) and outcome is Outcome.FAILED:
            self._bury(run, reason, now_us)

    def cancel(self, run: Run, now_us: int) -> None:
        """Stop a run that is under way; one that is over is left alone."""
        if self._runs.pop(run.number, None) is None or run.over:
            return
        run.over = True
        self.body.cancel(run, now_us)
        engine = self.engine
        if run.entry is not None:
            engine.ledger.close(run)
        engine.observe(RunEnded(now_us, self.agent, OWN_WORK, run.number, Outcome.CANCELLED, "", run.trail.runid))
        engine.calls.over(run, Outcome.CANCELLED, "", now_us)

    def runs_held(self) -> Collection[str]:
        """The runs of which some inputs have come, and others have not."""
        return self._partial or ()

    def waits_for(self, runid: str) -> str:
        """What its body waits for in this run."""
        return self.body.waits_for(runid)

    def runs(self) -> Sequence[Run]:
        """The runs under way."""
        return tuple(self._runs.values())

    def retire(self, now_us: int) -> None:
        """End what is under way, and begin nothing any more: the agent is taken out."""
        for runid in list(self._partial or ()):
            self._let_go(runid)
        for run in self.runs():
            self.cancel(run, now_us)

    def take_up(self, stored: StoredRun, now_us: int) -> Run:
        """Take up a run that was under way when the host went down.

        Raises:
            StateError: nothing can be made of what was kept of it.
        """
        run = Run(self, stored.number, stored.firing)
        run.trail = stored.trail
        self.engine.trace(Fired(now_us, self.agent, OWN_WORK, run.number, run.firing, run.trail.runid))
        self.body.go_on(run, stored.progress, now_us)
        self._runs[run.number] = run
        self._count = max(self._count, run.number)
        self.engine.ledger.adopt(run, self.body, stored)
        return run

    def take_up_inputs(self, stored: StoredInputs) -> bool:
        """Take up inputs that waited for others when the host went down; False if they are of other ports."""
        if len(self._ports) < 2 or not self.keeps or not stored.messages.keys() <= set(self._ports):  # noqa: PLR2004 - one waits for none
            return False
        if self._partial is None:
            self._partial = OrderedDict()
        held = self._partial[stored.runid] = PartialInputs(stored.runid, stored.messages)
        held.key, held.is_stored = stored.key, True
        return True

    def _let_go(self, runid: str) -> PartialInputs:
        """The inputs of this run wait no longer."""
        assert self._partial is not None  # noqa: S101 - they waited
        held = self._partial.pop(runid)
        self.engine.ledger.erase(held)
        return held

    def _begin(self, inputs: dict[str, Message], now_us: int) -> None:
        engine = self.engine
        messages = list(inputs.values())
        if (engine.pauses.parts or engine.pauses.suspended) and engine.pauses.hold_back(self.agent, messages[0].trail.runid, now_us):
            return
        if len(self._runs) >= engine.limits.runs_max:
            reason = f"{self.agent} has runs_max, {engine.limits.runs_max}, runs under way already"
            call = engine.calls.of(messages[0].trail.runid, self.agent)
            if call is not None:
                engine.calls.fail(call.runid, reason, now_us)
            else:
                for message in messages:
                    origin = Origin(message.trail, message.source)
                    engine.dead_letter(self.agent, message.topic, message.value, reason, now_us, origin)
            return
        self._count += 1
        wall_us = now_us + engine.skew_us
        sources: dict[str, Reading | None] = dict.fromkeys(self._ports)
        for port, found in inputs.items():
            sources[port] = self._reading(found, wall_us)
        trail = engine.begin_trail(messages[0].trail, now_us)
        run = Run(self, self._count, Firing(OWN_WORK, None, sources, fired_at_us=wall_us, trail=trail))
        self._runs[run.number] = run
        engine.observe(Fired(now_us, self.agent, OWN_WORK, run.number, run.firing, trail.runid))
        if engine.calls.begun(run):
            self.body.begin(run, now_us)
            if run.over:
                return
            is_called = trail.runid in engine.calls.open
            if self.is_work and (self.keeps or not is_called):
                engine.ledger.open(run, self.body if self.keeps else None, is_called=is_called)
        else:
            run.end(Outcome.CANCELLED, now_us, "whoever asked for it does not wait any more")

    def _bury(self, run: Run, reason: str, now_us: int) -> None:
        """Keep what a run was given that has failed."""
        origin = Origin(run.trail, firing=run.firing if self.is_work else None)
        self.engine.dead_letter(self.agent, f"{self.engine.root}/run/{self.agent}", _values(run.firing), reason, now_us, origin)

    def _reading(self, found: Message, wall_us: int) -> Reading:
        """What a run is given of a message."""
        return Reading(found.value, found.value, found.topic, wall_us)

    def _give_up(self, runid: str, inputs: dict[str, Message], now_us: int) -> None:
        missing = ", ".join(port for port in self._ports if port not in inputs)
        reason = f"{_PARTIAL_MAX} other runs wait for inputs of {self.agent}; run {runid or '(none)'} had none on {missing}"
        for message in inputs.values():
            self.engine.observe(Dropped(now_us, self.agent, message.topic, reason))
            origin = Origin(message.trail, message.source)
            self.engine.dead_letter(self.agent, message.topic, message.value, reason, now_us, origin)


def _values(firing: Firing) -> dict[str, object]:
    return {name: None if reading is None else reading.value for name, reading in firing.sources.items()}
