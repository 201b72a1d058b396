"""Critical commands of one device that wait for a person: each is a run of the device's agent."""

from __future__ import annotations

from typing import Final, Protocol

from msgspec import structs

from edgematrix.composition.approval import Action, Approval, digest_of
from edgematrix.errors import StateError
from edgematrix.protocol.event import Trail
from edgematrix.protocol.message import Message
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.runtime.course_body import CourseBody
from edgematrix.runtime.dead_letter import Origin
from edgematrix.runtime.engine import Engine
from edgematrix.runtime.ledger_entry import StoredRun
from edgematrix.runtime.observation import Dropped, Noted, Outcome, RunEnded
from edgematrix.runtime.run import OWN_WORK, Run
from edgematrix.runtime.work_runner import WorkRunner

__all__ = ["WAITING_MAX", "ApprovalRunner", "Asking", "Teller"]

WAITING_MAX: Final = 8
"""Commands of one device that wait for a person at once; those beyond are refused."""


class Teller(Protocol):
    """Who carries out what was approved: the device's agent."""

    agent: AgentPath

    def approved(self, port: str, value: object, trail: Trail, now_us: int) -> str:
        """Carry a command out, within its limits as of now. Why it was refused; empty where it was not."""


class Asking(CourseBody):
    """What the runs do. A device's agent has no port for failures: what was not approved is a dead letter."""

    def put_out_failure(self, run: Run, reason: str, member: str, trail: Trail, now_us: int) -> None:
        """Nothing is put out."""


class ApprovalRunner(WorkRunner):
    """Holds what waits, at most 8 commands, the same one once.

    What is carried out is the command that was shown, once, and by nothing but a person's `yes` to the run that asks. A command that
    is not approved is a dead letter; who called for it hears why.
    """

    __slots__ = ("_approval", "teller")

    def __init__(self, engine: Engine, approval: Approval, body: CourseBody, teller: Teller, order: int, *, keeps: bool) -> None:
        super().__init__(engine, teller.agent, (), body, order, keeps=keeps)
        self._approval = approval
        self.teller = teller

    def offer(self, port: str, value: object, message: Message, now_us: int) -> str:
        """Let a command wait for a person. Why it cannot; empty where it does, or where the same one does already."""
        engine, waiting = self.engine, self._approval.waiting
        trail = message.trail
        call = engine.calls.of(trail.runid, self.agent)
        same = self._same(port, value)
        if same:
            reason = f"the same command waits for a person already, in run {same}"
            engine.observe(Dropped(now_us, self.agent, message.topic, reason))
            if call is not None:
                engine.calls.fail(call.runid, reason, now_us)
            return ""
        if len(waiting) >= WAITING_MAX:
            reason = f"it is critical and follows from untrusted text, and {WAITING_MAX} commands wait for a person already"
            if call is not None:
                engine.calls.fail(call.runid, reason, now_us)
            return reason
        own = trail if call is not None and trail.runid not in waiting else self._run_of_its_own(trail, now_us)
        self._expect(own, port, value, trail.runid)
        if own.runid != trail.runid and trail.runid:
            what = f"{self.agent}.{port} waits for a person's approval, in run {own.runid}"
            engine.observe(Noted(now_us, self.agent, trail.runid, what))
        self._begin({port: structs.replace(message, value=value, trail=own)}, now_us)
        self._forget_unless_under_way(own.runid)
        return ""

    def ended(self, run: Run, outcome: Outcome, reason: str, now_us: int) -> None:
        """A person has decided, or nobody waits any more."""
        engine = self.engine
        self._runs.pop(run.number, None)
        action = self._approval.waiting.pop(run.trail.runid, None)
        if run.entry is not None:
            engine.ledger.close(run)
        is_refused = False
        if outcome is Outcome.DONE and action is not None:
            reason = self.teller.approved(action.port, action.value, run.trail, now_us)
            is_refused = bool(reason)
            outcome = Outcome.FAILED if is_refused else Outcome.DONE
        self._tell_waiting()
        engine.observe(RunEnded(now_us, self.agent, OWN_WORK, run.number, outcome, reason, run.trail.runid))
        engine.calls.over(run, outcome, reason, now_us)
        if outcome is Outcome.FAILED and not is_refused and action is not None:
            topic = topic_for(engine.root, Kind.IN, self.agent, action.port)
            engine.dead_letter(self.agent, topic, action.value, reason, now_us, Origin(run.trail))

    def cancel(self, run: Run, now_us: int) -> None:
        """Nobody waits for the command any more: it is not carried out."""
        super().cancel(run, now_us)
        self._approval.waiting.pop(run.trail.runid, None)
        self._tell_waiting()

    def take_up(self, stored: StoredRun, now_us: int) -> Run:
        """Take up a command that waited when the host went down.

        Raises:
            StateError: it is damaged, or for what is not critical any more.
        """
        given = [(port, reading.value) for port, reading in stored.firing.sources.items() if reading is not None]
        if len(given) != 1 or not self._approval.asks_about(given[0][0]):
            raise StateError("its device does not ask about this command any more")
        self._expect(stored.trail, *given[0], stored.trail.runid)
        try:
            run = super().take_up(stored, now_us)
        except StateError:
            self._approval.waiting.pop(stored.trail.runid, None)
            raise
        self._tell_waiting()
        return run

    def _same(self, port: str, value: object) -> str:
        """The run in which the same command waits; empty where none does."""
        waiting = self._approval.waiting
        if not waiting:
            return ""
        digest = digest_of(self.agent, port, value)
        return next((run for run, one in waiting.items() if digest_of(one.agent, one.port, one.value) == digest), "")

    def _run_of_its_own(self, cause: Trail, now_us: int) -> Trail:
        """A run that no other question has, so that an answer means this one alone."""
        made = self.engine.next_trail(Trail(cause.id), now_us)
        return structs.replace(cause, id=cause.id or made.id, runid=made.runid)

    def _expect(self, trail: Trail, port: str, value: object, run: str) -> None:
        self._approval.waiting[trail.runid] = Action(self.agent, port, value, trail.taint, run or trail.runid, trail.expiry_us)

    def _forget_unless_under_way(self, runid: str) -> None:
        """It did not begin: the agent is paused, or nobody could be asked."""
        if not any(run.trail.runid == runid for run in self._runs.values()):
            self._approval.waiting.pop(runid, None)
        self._tell_waiting()

    def _tell_waiting(self) -> None:
        self.engine.wait(self.agent, len(self._approval.waiting))
