"""An agent without code: a firing works through the actions of `do:`."""

from __future__ import annotations

from edgematrix.agents.actions import ActionRun, Answer, Awaiting, Done, Failed, Waiting
from edgematrix.agents.effect import Call, Effect, Emit, Publish, Send
from edgematrix.agents.plan import Plan
from edgematrix.protocol.message import Message
from edgematrix.runtime.engine import Engine, Hits
from edgematrix.runtime.observation import Outcome
from edgematrix.runtime.run import Run
from edgematrix.runtime.run_store import RunStore

__all__ = ["AnswerListener", "RuleBody"]


class RuleBody:
    """Runs the plan of one group. A run that waits is a timer of the engine.

    Args:
        store: where runs that wait are kept; None where they do not outlive a restart.
    """

    __slots__ = ("_engine", "_plan", "_waiting", "store")

    def __init__(self, engine: Engine, plan: Plan, store: RunStore | None = None) -> None:
        self._engine = engine
        self._plan = plan
        self.store = store
        self._waiting: dict[Run, _Position] | None = None

    def begin(self, run: Run, now_us: int) -> None:
        """Work through the actions up to the first that waits."""
        self._go_on(_Position(self, run, ActionRun(self._plan, run.firing.scope())), now_us, None)

    def go_on(self, run: Run, actions: ActionRun) -> None:
        """Take up a run that waited when the host went down; what is overdue comes in its turn."""
        _, pause = actions.advance(-1)
        if isinstance(pause, (Waiting, Awaiting)):
            self._wait(_Position(self, run, actions), pause)

    def cancel(self, run: Run) -> None:
        """Forget a run that waits."""
        self._forget(run)

    def _go_on(self, position: _Position, now_us: int, answer: Answer | None) -> None:
        run = position.run
        effects, pause = position.actions.advance(now_us, answer, wall_us=now_us + self._engine.skew_us)
        for effect in effects:
            self._carry_out(effect, position, now_us)
        if run.over:
            return
        if isinstance(pause, Done):
            self._forget(run)
            run.end(Outcome.STOPPED if pause.stopped_at else Outcome.DONE, now_us, pause.stopped_at)
        elif isinstance(pause, Failed):
            self._forget(run)
            run.end(Outcome.FAILED, now_us, str(pause.error))
        else:
            self._wait(position, pause)

    def _wait(self, position: _Position, pause: Waiting | Awaiting) -> None:
        if self._waiting is None:
            self._waiting = {}
        self._waiting[position.run] = position
        position.until_us = pause.until_us
        if self.store is not None:
            self.store.put(position.run, position.actions)
        self._engine.schedule(position, pause.until_us)

    def _forget(self, run: Run) -> None:
        if self.store is not None:
            self.store.drop(run)
        position = None if self._waiting is None else self._waiting.pop(run, None)
        if position is not None and position.call:
            self._engine.hang_up(position.call)

    def _carry_out(self, effect: Effect, position: _Position, now_us: int) -> None:
        engine, run = self._engine, position.run
        agent = run.runner.agent
        if isinstance(effect, Publish):
            refusal = engine.refuses(effect.topic)
            if refusal is not None:
                engine.dead_letter(agent, effect.topic, effect.value, refusal, now_us)
            else:
                engine.publish(agent, effect.topic, effect.value, now_us, qos=effect.qos, retain=effect.retain)
            return
        run.trail = engine.begin_trail(run.trail, now_us)
        if isinstance(effect, Emit):
            engine.emit(agent, effect.port, effect.value, run.trail, now_us)
        elif isinstance(effect, Send):
            engine.send(agent, effect.path, effect.port, effect.value, run.trail, now_us)
        elif isinstance(effect, Call):
            position.call = engine.call(agent, effect.path, effect.port, effect.value, run.trail, now_us, position.answered)
            if not position.call:
                run.end(Outcome.FAILED, now_us, f"the host has runs_max, {engine.limits.runs_max}, calls under way already")


class _Position:
    """Where a run of a plan is; a timer of the engine while it waits."""

    __slots__ = ("actions", "body", "call", "order", "run", "until_us")

    def __init__(self, body: RuleBody, run: Run, actions: ActionRun) -> None:
        self.body = body
        self.run = run
        self.actions = actions
        self.order = run.runner.order
        self.until_us = -1
        self.call = ""

    def due(self, due_us: int, now_us: int) -> None:
        """The time for which it waited has come."""
        if not self.run.over and due_us == self.until_us:
            self.until_us = -1
            self.body._go_on(self, now_us, None)  # noqa: SLF001 - its own body

    def answered(self, value: object, error: str, now_us: int) -> None:
        """The agent that it called has answered."""
        if not self.run.over:
            self.until_us = -1
            self.body._go_on(self, now_us, Answer(value, error))  # noqa: SLF001 - its own body


class AnswerListener:
    """Hears what a called agent puts out, and gives it to the run that called."""

    __slots__ = ("_engine",)

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def receive(self, message: Message, hits: Hits, now_us: int) -> None:  # noqa: ARG002 - there is one input
        """Take an output; it is an answer if its run was begun by a call."""
        self._engine.answer(message.trail.runid, message.value, "", now_us)
