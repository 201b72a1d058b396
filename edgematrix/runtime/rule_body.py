"""An agent without code: a firing works through the actions of `do:`."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import structs

from edgematrix.agents.actions import ActionRun, Answer, Awaiting, Done, Failed, Waiting
from edgematrix.agents.effect import Call as CallEffect
from edgematrix.agents.effect import Effect, Emit, Publish, Send
from edgematrix.agents.plan import Plan
from edgematrix.errors import RunError, StateError
from edgematrix.protocol.event import Trail, tainted
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.runtime.call import Call
from edgematrix.runtime.dead_letter import Origin
from edgematrix.runtime.engine import ANSWER, Engine
from edgematrix.runtime.kept_call import KeptCall
from edgematrix.runtime.observation import Outcome, StepBegan, StepEnded
from edgematrix.runtime.progress import Progress
from edgematrix.runtime.run import Run
from edgematrix.runtime.stored_form import pack, unpack

__all__ = ["RuleBody"]


_KIND = "rule"


class _Stored(msgspec.Struct, array_like=True):
    actions: bytes
    step: int
    call: KeptCall | None


class RuleBody:
    """Runs the plan of one group. A run that waits is a timer of the engine."""

    __slots__ = ("_engine", "_plan", "_waiting", "leads")
    speaks = False

    def __init__(self, engine: Engine, plan: Plan) -> None:
        self._engine = engine
        self._plan = plan
        self.leads = plan.leads
        self._waiting: dict[Run, _Position] | None = None

    def begin(self, run: Run, now_us: int) -> None:
        """Work through the actions up to the first that waits."""
        self._go_on(_Position(self, run, ActionRun(self._plan, run.firing.scope(), run.firing.done)), now_us, None)

    def keep(self, run: Run) -> Progress:
        """Its place in the plan, and the call whose answer it waits for.

        Raises:
            StateError: what it goes by has no stored form.
        """
        position = (self._waiting or {})[run]
        call = None if position.call is None else self._engine.calls.keep(position.call)
        return Progress(_KIND, pack(_Stored(position.actions.dump(), position.step, call)))

    def go_on(self, run: Run, progress: Progress, now_us: int) -> None:
        """Take up a run that waited when the host went down; what is overdue comes in its turn.

        Raises:
            StateError: it is damaged, or of another definition.
        """
        progress.check(_KIND)
        stored = unpack(progress.state, _Stored)
        position = _Position(self, run, ActionRun.load(self._plan, stored.actions))
        _, pause = position.actions.advance(-1)
        if not isinstance(pause, (Waiting, Awaiting)):
            raise StateError("it waited for nothing")
        position.step = stored.step
        if stored.call is not None:
            call = position.call = self._engine.calls.reopen(stored.call, position.answered, run)
            step = StepBegan(now_us, run.runner.agent, run.trail.runid, stored.step, call.receiver, call.runid, ())
            self._engine.trace(step)
        self._wait(position, pause)

    def cancel(self, run: Run, now_us: int) -> None:
        """Forget a run that waits."""
        self._forget(run, now_us)

    def fail(self, run: Run, reason: str, now_us: int) -> None:
        """Forget a run that waits, and end it."""
        self._forget(run, now_us)
        run.end(Outcome.FAILED, now_us, reason)

    def waits_for(self, runid: str) -> str:
        """A call's answer, or the end of a delay."""
        waiting = [position for run, position in (self._waiting or {}).items() if run.trail.runid == runid]
        if not waiting:
            return ""
        return "the end of a delay" if waiting[0].call is None else f"the answer of {waiting[0].call.receiver}"

    def _go_on(self, position: _Position, now_us: int, answer: Answer | None) -> None:
        run = position.run
        effects, pause = position.actions.advance(now_us, answer, wall_us=now_us + self._engine.skew_us)
        for effect in effects:
            self._carry_out(effect, position, now_us)
            if run.over:
                self._forget(run, now_us)
                return
        if isinstance(pause, Done):
            self._forget(run, now_us)
            run.end(Outcome.STOPPED if pause.stopped_at else Outcome.DONE, now_us, pause.stopped_at)
        elif isinstance(pause, Failed):
            self._forget(run, now_us)
            run.end(Outcome.FAILED, now_us, str(pause.error))
        else:
            self._wait(position, pause)

    def _wait(self, position: _Position, pause: Waiting | Awaiting) -> None:
        if self._waiting is None:
            self._waiting = {}
        self._waiting[position.run] = position
        position.until_us = pause.until_us
        position.run.touched()
        self._engine.schedule(position, pause.until_us)

    def _forget(self, run: Run, now_us: int) -> None:
        position = None if self._waiting is None else self._waiting.pop(run, None)
        if position is not None and position.call is not None:
            self._engine.hang_up(position.call, now_us)
            position.step_over(Outcome.CANCELLED, {}, "", now_us)

    def _carry_out(self, effect: Effect, position: _Position, now_us: int) -> None:
        engine, run = self._engine, position.run
        agent = run.runner.agent
        if isinstance(effect, Publish):
            trail = run.trail if not run.firing.trail.taint else _trail_of(effect, run)
            refusal = engine.refuses(effect.topic)
            if refusal is not None:
                engine.dead_letter(agent, effect.topic, effect.value, refusal, now_us, Origin(trail, is_output=True))
            else:
                engine.publish(agent, effect.topic, effect.value, now_us, qos=effect.qos, retain=effect.retain, taint=trail.taint)
            return
        run.trail = engine.begin_trail(run.trail, now_us)
        trail = run.trail if not run.firing.trail.taint else _trail_of(effect, run)
        if isinstance(effect, Emit) and (wrong := engine.misfit(agent, effect.port, effect.value)):
            if engine.excess(effect.value) and engine.calls.of(run.trail.runid, agent) is None:  # nobody hears of it but by a letter
                topic = topic_for(engine.root, Kind.OUT, agent, effect.port)
                engine.dead_letter(agent, topic, effect.value, wrong, now_us, Origin(trail, is_output=True))
            run.end(Outcome.FAILED, now_us, wrong)
        elif isinstance(effect, Emit):
            engine.emit(agent, effect.port, effect.value, trail, now_us, fits=True)
        elif isinstance(effect, Send):
            engine.send(agent, effect.path, effect.port, effect.value, trail, now_us)
        elif isinstance(effect, CallEffect):
            inputs = ((effect.port, effect.value),)
            try:
                call = position.call = engine.call(agent, effect.path, inputs, trail, now_us, position.answered)
            except RunError as error:
                run.end(Outcome.FAILED, now_us, error.what)
            else:
                position.step += 1
                call.by = run if run.runner.keeps else None
                engine.observe(StepBegan(now_us, agent, run.trail.runid, position.step, effect.path, call.runid, inputs))


class _Position:
    """Where a run of a plan is; a timer of the engine while it waits."""

    __slots__ = ("actions", "body", "call", "order", "run", "step", "until_us")

    def __init__(self, body: RuleBody, run: Run, actions: ActionRun) -> None:
        self.body = body
        self.run = run
        self.actions = actions
        self.order = run.runner.order
        self.until_us = -1
        self.step = 0
        """The number of its last call."""
        self.call: Call | None = None

    def awaits(self, due_us: int) -> bool:
        """Whether it waits for that moment."""
        return not self.run.over and due_us == self.until_us

    def due(self, due_us: int, now_us: int) -> None:
        """The time for which it waited has come."""
        if not self.run.over and due_us == self.until_us:
            self.until_us = -1
            self.body._go_on(self, now_us, None)  # noqa: SLF001 - its own body

    def step_over(self, outcome: Outcome, outputs: Mapping[str, object], reason: str, now_us: int) -> None:
        """Tell how its last call ended."""
        run = self.run
        ended = StepEnded(now_us, run.runner.agent, run.trail.runid, self.step, outcome, outputs, reason)
        self.body._engine.observe(ended)  # noqa: SLF001 - its own body

    def answered(self, call: Call, now_us: int) -> None:
        """The agent that it called has answered; null where it returned nothing."""
        if not self.run.over:
            self.until_us = -1
            self.call = None
            outcome = Outcome.FAILED if call.failure else Outcome.DONE
            self.step_over(outcome, call.outputs, call.failure, now_us)
            if call.outputs and call.taint != self.run.trail.taint:  # what it got was as tainted as the run; a person may have cleared it
                self.run.trail = structs.replace(self.run.trail, taint=call.taint)
            elif call.failure:
                self.run.trail = tainted(self.run.trail, call.taint)
            answer = Answer(call.outputs.get(ANSWER), call.failure)
            self.body._go_on(self, now_us, answer)  # noqa: SLF001 - its own body


def _trail_of(effect: Effect, run: Run) -> Trail:
    """Of what reads the request itself, and not a person's answer alone, the request's taint is never cleared."""
    is_of_answer = isinstance(effect, (Publish, Emit, Send, CallEffect)) and not effect.of_request
    return run.trail if is_of_answer else tainted(run.trail, run.firing.trail.taint)
