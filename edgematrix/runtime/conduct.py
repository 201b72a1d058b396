"""A course under way: its effects become calls of members, and how these end becomes its events."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import msgspec
from msgspec import structs

from edgematrix.composition.course import (
    Answered,
    Ask,
    Cancel,
    Choose,
    Course,
    Done,
    Effect,
    Emit,
    Event,
    Fail,
    Failed,
    Finish,
    Invoke,
    Note,
    Send,
    Standing,
    Streaming,
    Think,
    Tick,
    Wake,
)
from edgematrix.errors import RunError, StateError
from edgematrix.protocol.event import Trail, merged
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.call import ERROR, Call
from edgematrix.runtime.consultation import Consultation
from edgematrix.runtime.course_failing import CourseFailing
from edgematrix.runtime.course_replay import KINDS, Replayed, replay
from edgematrix.runtime.course_step import CourseStep
from edgematrix.runtime.engine import Engine
from edgematrix.runtime.ensemble import Ensemble
from edgematrix.runtime.journal import Journal, read_journal
from edgematrix.runtime.kept_call import KeptCall
from edgematrix.runtime.observation import Noted, Outcome, StepBegan, StepEnded
from edgematrix.runtime.part import Part
from edgematrix.runtime.progress import Progress
from edgematrix.runtime.questions import Question
from edgematrix.runtime.run import Run
from edgematrix.runtime.stored_form import pack, unpack

__all__ = ["Conduct"]

_KIND = "course"
_CHANGED = "its definition was changed meanwhile, and what was done of this run does not fit it any more"


class _KeptStep(msgspec.Struct, array_like=True):
    number: int
    member: str
    call: KeptCall


class _Stored(msgspec.Struct, array_like=True):
    began_us: int
    steps: list[_KeptStep]
    standing: list[object] | None


class Conduct:
    """One course under way, and the calls that it has open. A timer of the engine."""

    __slots__ = (
        "_began_us",
        "_body",
        "_consultation",
        "_due_us",
        "_events",
        "_journal",
        "_members",
        "_steps",
        "_streaming",
        "_taints",
        "course",
        "order",
        "run",
    )

    def __init__(self, body: Ensemble, run: Run, course: Course) -> None:
        self._body = body
        self._members = body.members
        self.run = run
        self.course = course
        self.order = run.runner.order
        self._steps: dict[int, CourseStep] = {}
        self._consultation: Consultation | None = None
        """The models that were asked; None before the first."""
        self._streaming: dict[str, int] | None = None
        """The step whose pieces are streamed on each output."""
        self._taints: dict[int, str] | None = None
        """The origins of untrusted text in what each step has put out; None before the first."""
        self._due_us: int | None = None
        self._events: deque[Event] | None = None
        """What has happened while effects are carried out; None while none are."""
        self._began_us = 0
        self._journal: Journal | None = None
        """What the course was told; None before the first, and where that is not kept."""

    @property
    def engine(self) -> Engine:
        """Who carries its calls."""
        return self._body.engine

    def begin(self, inputs: Mapping[str, object], now_us: int) -> None:
        """Start the course."""
        self._began_us = now_us
        self._mark()
        self._carry_out(self.course.begin(inputs, now_us), now_us)

    def take(self, event: Event, now_us: int) -> None:
        """Let the course know what has happened."""
        if self.run.over:
            return
        if self._events is not None:
            self._events.append(event)
            return
        self._carry_out(self._tell(event, now_us), now_us)

    def keep(self) -> Progress:
        """What the course was told, or where it stands, and the calls that it has open.

        Raises:
            StateError: something of it has no stored form.
        """
        calls, course = self._body.engine.calls, self.course
        steps = [
            _KeptStep(step.number, step.name, calls.keep(step.call, step.until_us))
            for step in self._steps.values()
            if step.call is not None
        ]
        standing = list(course.standing()) if isinstance(course, Standing) else None
        journal = () if self._journal is None else self._journal.take()
        return Progress(_KIND, pack(_Stored(self._began_us, steps, standing)), journal)

    def go_on(self, inputs: Mapping[str, object], progress: Progress, now_us: int) -> None:
        """Bring the course to where it was, and reopen its calls. Where that cannot be, the run fails when all runs were taken up.

        Raises:
            StateError: what was kept of it is damaged.
        """
        progress.check(_KIND)
        stored = unpack(progress.state, _Stored)
        records = read_journal(progress.journal)
        course = self.course
        self._began_us = stored.began_us
        self._mark()
        if isinstance(course, Standing):
            found = Replayed({}, {}, None, {}) if stored.standing is None else Replayed(course.stand(inputs, stored.standing))
        else:
            found = replay(course, inputs, stored.began_us, records)
        self._taints = found.taints or None
        self._reopen(stored.steps, now_us)
        if found.is_over or found.steps != {step.number: step.member for step in stored.steps} or len(self._steps) < len(stored.steps):
            self._body.engine.schedule(CourseFailing(self, _CHANGED), 0)
            return
        for choice in found.choices.values():
            self._choose_again(choice, now_us)
        if found.asked is not None and self._body.questions is not None:
            self._body.questions.stand(self._question(found.asked), self._answered)
        self._wait()

    def fail(self, reason: str, now_us: int) -> None:
        """End it by an error from outside."""
        if not self.run.over:
            self._fail(Fail(reason), now_us)

    def awaits(self, due_us: int) -> bool:
        """Whether it waits for that moment."""
        return due_us == self._due_us

    def due(self, due_us: int, now_us: int) -> None:
        """The course's deadline has come."""
        if due_us == self._due_us:
            self._due_us = None
            self.take(Tick(), now_us)

    def step_over(self, step: CourseStep, call: Call, now_us: int) -> None:
        """A member has answered, returned nothing, or failed."""
        if self._steps.pop(step.number, None) is None:
            return
        if call.taint:
            if self._taints is None:
                self._taints = {}
            self._taints[step.number] = call.taint
        outcome = Outcome.FAILED if call.failure else Outcome.DONE
        self._observe_end(step.number, outcome, call.outputs, call.failure, now_us)
        if call.failure and not (ERROR in call.wanted and ERROR in call.outputs):  # else an edge leads on from there
            self.take(Failed(step.number, call.failure, call.gone), now_us)
        else:
            self.take(Done(step.number, call.outputs), now_us)

    def pass_on(self, step: CourseStep, part: Part, now_us: int) -> None:
        """Stream what a member streams where that is to be the composite's own output; the step that began to last counts."""
        composition, run = self._body.composition, self.run
        port = composition.streamed(step.name, part.port) if isinstance(composition, Streaming) else ""
        if not port:
            return
        if self._streaming is None:
            self._streaming = {}
        if part.sequence - part.lost == 1:
            self._streaming[port] = step.number
            if run.streamed is not None:
                run.streamed.pop(port, None)
        if self._streaming.get(port) == step.number:
            self._body.engine.streams.put_out(run, port, part.value, now_us, lost=part.lost, taint=part.taint)

    def drop(self, now_us: int) -> None:
        """Stop everything that is under way for the course; the run is over."""
        self.run.over = True
        self._close(now_us)

    # Inside

    def _carry_out(self, effects: list[Effect], now_us: int) -> None:
        """Take effects in order; what happens meanwhile is told to the course afterwards."""
        events = self._events = deque()
        try:
            while True:
                for effect in effects:
                    self._act(effect, now_us)
                    if self.run.over:
                        return
                if not events:
                    break
                effects = self._tell(events.popleft(), now_us)
        finally:
            self._events = None
        self._wait()

    def _tell(self, event: Event, now_us: int) -> list[Effect]:
        """Tell the course, and keep that it was told."""
        run, journal = self.run, self._journal
        if not run.runner.keeps:
            return self.course.take(event, now_us)
        if journal is None and not self._body.is_placing:
            journal = self._journal = Journal()
        if journal is not None:
            taint = self._taints.get(event.step, "") if self._taints and isinstance(event, (Done, Failed)) else ""
            try:
                journal.add((KINDS[type(event)], now_us, event, taint))
            except StateError as error:
                return [Fail(f"it cannot be kept for a restart: {error.what}")]
            size_max = self._body.engine.limits.journal_bytes_max
            if journal.size > size_max:
                return [Fail(f"what has to be kept of it for a restart has {journal.size} bytes, journal_bytes_max is {size_max}")]
        run.touched()
        return self.course.take(event, now_us)

    def _reopen(self, kept: list[_KeptStep], now_us: int) -> None:
        """Go on with the calls that were open."""
        engine = self._body.engine
        for found in kept:
            member = self._members.get(found.member)
            if member is None or member.path != found.call.receiver:
                continue
            step = self._steps[found.number] = CourseStep(self, found.number, found.member, member)
            call = step.call = engine.calls.reopen(found.call, step.answered, self.run)
            call.part_heard = step.part_heard
            run = self.run
            engine.trace(StepBegan(now_us, run.runner.agent, run.trail.runid, found.number, member.path, call.runid, ()))
            if found.call.until_us is not None:
                step.until_us = found.call.until_us
                engine.schedule(step, step.until_us)

    def _consult(self, effect: Choose | Think, now_us: int) -> None:
        """Ask a model."""
        if self._consultation is None:
            self._consultation = Consultation(self, self._body)
        if isinstance(effect, Think):
            self._consultation.think(effect, now_us)
        else:
            self._consultation.choose(effect, now_us)

    def _choose_again(self, effect: Choose | Think, now_us: int) -> None:
        """A model that had not answered is asked anew."""
        if isinstance(effect, Think):
            self._consult(effect, now_us)
        elif self._body.chooser is None:
            self._body.engine.schedule(CourseFailing(self, "no model chooses here"), 0)
        else:
            self._consult(effect, now_us)

    def _act(self, effect: Effect, now_us: int) -> None:
        if isinstance(effect, Invoke):
            self._invoke(effect, now_us)
        elif isinstance(effect, (Emit, Send)):
            self._put_out(effect, now_us)
        elif isinstance(effect, Finish):
            self._end(Outcome.DONE, "", now_us)
        elif isinstance(effect, Fail):
            self._fail(effect, now_us)
        elif isinstance(effect, Note):
            self._body.engine.observe(Noted(now_us, self.run.runner.agent, self.run.trail.runid, effect.what))
        elif isinstance(effect, Cancel):
            self._cancel(effect.step, now_us)
        elif isinstance(effect, (Choose, Think)):
            self._consult(effect, now_us)
        elif isinstance(effect, Ask):
            self._ask(effect, now_us)
        elif isinstance(effect, Wake):
            self._body.wake(effect.runids, now_us)

    def _put_out(self, effect: Emit | Send, now_us: int) -> None:
        engine, agent = self._body.engine, self.run.runner.agent
        if isinstance(effect, Send):
            engine.send(agent, AgentPath(effect.path), effect.port, effect.value, self._trail_of(None), now_us)
            return
        trail = self._trail_of(() if effect.cleared else effect.origins)
        wrong = engine.misfit(agent, effect.port, effect.value)
        if wrong:
            self._fail(Fail(wrong), now_us)
        else:
            engine.emit(agent, effect.port, effect.value, trail, now_us, fits=True)

    def _invoke(self, effect: Invoke, now_us: int) -> None:
        body, run = self._body, self.run
        engine = body.engine
        member = self._members[effect.member]
        inputs = tuple((port or member.input, value) for port, value in effect.inputs)
        step = CourseStep(self, effect.step, effect.member, member)
        reason, call = body.gone.get(member.path, ""), None
        if not reason:
            try:
                trail = self._trail_of(effect.origins)
                call = engine.call(run.runner.agent, member.path, inputs, trail, now_us, step.answered, effect.wanted)
            except RunError as error:
                reason = error.what
        if call is None:
            engine.observe(StepBegan(now_us, run.runner.agent, run.trail.runid, effect.step, member.path, "", inputs, _led_by(effect)))
            self._observe_end(effect.step, Outcome.FAILED, {}, reason, now_us)
            self.take(Failed(effect.step, reason, member.path in body.gone), now_us)
            return
        self._steps[effect.step] = step
        step.call = call
        call.by = run if run.runner.keeps else None
        call.part_heard = step.part_heard
        engine.observe(StepBegan(now_us, run.runner.agent, run.trail.runid, effect.step, member.path, call.runid, inputs, _led_by(effect)))
        if member.deadline_us is not None:
            engine.schedule(step, now_us + member.deadline_us + member.grace_us)

    def _cancel(self, number: int, now_us: int) -> None:
        step = self._steps.pop(number, None)
        if step is not None and step.call is not None:
            self._body.engine.hang_up(step.call, now_us)
            self._observe_end(number, Outcome.CANCELLED, {}, "", now_us)

    def _ask(self, effect: Ask, now_us: int) -> None:
        questions = self._body.questions
        if questions is None:
            self.take(Failed(0, "nobody is asked here"), now_us)
            return
        questions.ask(self._question(effect), self.run.trail, self._answered, now_us)

    def _question(self, effect: Ask) -> Question:
        return Question(self.run.runner.agent, self.run.trail.runid, effect.question, effect.choices, effect.until_us, effect.action)

    def _answered(self, value: object, by: str, now_us: int) -> None:
        self.take(Answered(value, by), now_us)

    def _mark(self) -> None:
        """All of this run is untrusted, where all that its agent says is."""
        self.run.trail = self._body.engine.marked(self.run.runner.agent, self.run.trail)

    def _fail(self, effect: Fail, now_us: int) -> None:
        run = self.run
        run.trail = self._trail_of(None)
        if run.again is None or not run.again(now_us):
            self._body.put_out_failure(run, effect.reason, effect.member, self._trail_of(None), now_us)
        self._end(Outcome.FAILED, f"{effect.member}: {effect.reason}" if effect.member else effect.reason, now_us)

    def _end(self, outcome: Outcome, reason: str, now_us: int) -> None:
        self._close(now_us)
        self.run.end(outcome, now_us, reason)

    def _close(self, now_us: int) -> None:
        """Hang up on all that is open, and forget the course."""
        body = self._body
        body.over(self.run.trail.runid)
        self._due_us = None
        for number in list(self._steps):
            self._cancel(number, now_us)
        if self._consultation is not None:
            self._consultation.give_up()
        if body.questions is not None:
            body.questions.withdraw(self.run.runner.agent, self.run.trail.runid, now_us)
        woken = self.course.close()
        if woken:
            self._body.wake(woken, now_us)

    def _trail_of(self, origins: tuple[int, ...] | None) -> Trail:
        """The trail of what these steps led to, 0 for the request: with their taint, and no other's. None: of all so far."""
        trail, taints = self.run.trail, self._taints
        if not taints and not trail.taint:
            return trail
        if origins is None:
            found = [trail.taint, *(taints or {}).values()]
        else:
            found = [(trail.taint if step == 0 else (taints or {}).get(step, "")) for step in origins]
        taint = merged(*found)
        return trail if taint == trail.taint else structs.replace(trail, taint=taint)

    def _wait(self) -> None:
        due_us = self.course.deadline_us
        if due_us != self._due_us:
            self._due_us = due_us
            if due_us is not None:
                self._body.engine.schedule(self, due_us)

    def _observe_end(self, number: int, outcome: Outcome, outputs: Mapping[str, object], reason: str, now_us: int) -> None:
        run = self.run
        self._body.engine.observe(StepEnded(now_us, run.runner.agent, run.trail.runid, number, outcome, outputs, reason))


def _led_by(effect: Invoke) -> tuple[int, ...]:
    """The steps that led to one, with 0 for the request where that is beside others; the request alone goes without saying."""
    return (0, *effect.after) if effect.after and effect.origins and effect.origins[0] == 0 else effect.after
