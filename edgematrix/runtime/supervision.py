"""What keeps an agent's runs in bounds: a deadline, and another attempt where one has failed."""

from __future__ import annotations

import msgspec

from edgematrix.composition.retry import may_retry, wait_us
from edgematrix.composition.spec import RetrySpec
from edgematrix.errors import StateError
from edgematrix.protocol.duration import format_duration
from edgematrix.protocol.event import Trail, tainted
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.engine import Engine
from edgematrix.runtime.observation import Noted, Outcome
from edgematrix.runtime.progress import Progress
from edgematrix.runtime.run import Body, FailureTeller, Run
from edgematrix.runtime.stored_form import pack, unpack

__all__ = ["Supervision"]

_KIND = "attempts"


class _Work(msgspec.Struct, array_like=True):
    """The attempt that is under way."""

    kind: str
    trail: Trail
    state: bytes


class _Stored(msgspec.Struct, array_like=True):
    count: int
    began_us: int
    until_us: int | None
    again_us: int | None
    work: _Work | None


class Supervision:
    """A body around another, which gets each run again after a failure, and loses it at the deadline.

    Args:
        deadline_us: how long a run may take, all attempts together; None for as long as it likes.
    """

    speaks = True
    leads = True

    def __init__(self, engine: Engine, body: Body, retry: RetrySpec | None, deadline_us: int | None) -> None:
        self._engine = engine
        self._body = body
        self._retry = retry
        self._deadline_us = deadline_us
        self._attempts: dict[Run, _Attempts] = {}

    def begin(self, run: Run, now_us: int) -> None:
        """Make the first attempt."""
        attempts = self._attempts[run] = _Attempts(self, run, now_us)
        if self._deadline_us is not None:
            attempts.until_us = now_us + self._deadline_us
            self._engine.schedule(attempts, attempts.until_us)
        attempts.attempt(now_us)

    def cancel(self, run: Run, now_us: int) -> None:
        """Stop the attempt that is under way."""
        attempts = self._attempts.pop(run, None)
        if attempts is not None:
            attempts.drop(now_us)

    def fail(self, run: Run, reason: str, now_us: int) -> None:
        """Stop the attempt that is under way, and make no other."""
        attempts = self._attempts.get(run)
        if attempts is not None:
            attempts.drop(now_us)
        self._tell(run, reason, now_us)
        self.over(run, Outcome.FAILED, reason, now_us)

    def keep(self, run: Run) -> Progress:
        """The attempts so far, and how far the one under way is.

        Raises:
            StateError: something of it has no stored form.
        """
        attempts = self._attempts[run]
        work = attempts.work
        inner = None if work is None else self._body.keep(work)
        its = None if inner is None or work is None else _Work(inner.kind, work.trail, inner.state)
        state = pack(_Stored(attempts.count, attempts.began_us, attempts.until_us, attempts.again_us, its))
        # Between two attempts there is no journal; with each it begins anew.
        return Progress(_KIND, state, () if inner is None else inner.journal, attempts.count if inner is not None else -attempts.count)

    def go_on(self, run: Run, progress: Progress, now_us: int) -> None:
        """Take up the attempt that was under way, or wait for the next, with the moments that they had.

        Raises:
            StateError: nothing can be made of its progress.
        """
        progress.check(_KIND)
        stored = unpack(progress.state, _Stored)
        attempts = _Attempts(self, run, stored.began_us)
        attempts.count, attempts.until_us, attempts.again_us = stored.count, stored.until_us, stored.again_us
        for due_us in (stored.until_us, stored.again_us):
            if due_us is not None:
                self._engine.schedule(attempts, due_us)  # before the body's own moments, as when it began
        try:
            if stored.work is not None:
                attempts.go_on(stored.work.trail, Progress(stored.work.kind, stored.work.state, progress.journal), now_us)
        except StateError:
            run.over = True  # so that nothing is due any more
            raise
        self._attempts[run] = attempts

    def resume(self, attempt: Run, progress: Progress, now_us: int) -> None:
        """Go on with an attempt.

        Raises:
            StateError: nothing can be made of its progress.
        """
        self._body.go_on(attempt, progress, now_us)

    def waits_for(self, runid: str) -> str:
        """What the attempt under way waits for, or the next attempt."""
        for attempts in self._attempts.values():
            if attempts.run.trail.runid == runid and attempts.again_us is not None:
                return f"attempt {attempts.count + 1}"
        return self._body.waits_for(runid)

    def work(self, attempt: Run, now_us: int) -> None:
        """Begin an attempt."""
        self._body.begin(attempt, now_us)

    def stop(self, attempt: Run, now_us: int) -> None:
        """End an attempt."""
        self._body.cancel(attempt, now_us)

    def again_us(self, attempts: _Attempts, now_us: int) -> int | None:
        """When the next attempt is due; None if there is none."""
        retry = self._retry
        if retry is None:
            return None
        again_us = now_us + wait_us(retry, attempts.count, attempts.run.trail.runid)
        return again_us if may_retry(retry, attempts.count, attempts.began_us, again_us) else None

    def note(self, run: Run, text: str, now_us: int) -> None:
        """Tell whoever watches."""
        self._engine.observe(Noted(now_us, run.runner.agent, run.trail.runid, text))

    def wake(self, attempts: _Attempts, due_us: int) -> None:
        """Call it when the next attempt is due."""
        self._engine.schedule(attempts, due_us)

    def over(self, run: Run, outcome: Outcome, reason: str, now_us: int) -> None:
        """The last attempt has ended."""
        self._attempts.pop(run, None)
        run.end(outcome, now_us, reason)

    def too_late(self, run: Run, now_us: int) -> None:
        """The deadline has passed."""
        reason = f"its deadline of {format_duration(self._deadline_us or 0)} has passed"
        self._tell(run, reason, now_us)
        self.over(run, Outcome.FAILED, reason, now_us)

    def _tell(self, run: Run, reason: str, now_us: int) -> None:
        if isinstance(self._body, FailureTeller):
            self._body.tell_failure(run, reason, "", now_us)


class _Attempts:
    """The attempts of one run; it starts them, and is told of their end, as a group is. A timer of the engine."""

    __slots__ = ("_supervision", "again_us", "agent", "began_us", "count", "keeps", "name", "order", "run", "until_us", "work")

    def __init__(self, supervision: Supervision, run: Run, now_us: int) -> None:
        self._supervision = supervision
        self.work: Run | None = None
        self.run = run
        self.name = run.runner.name
        self.keeps = run.runner.keeps
        self.agent: AgentPath = run.runner.agent
        self.order = run.runner.order
        self.began_us = now_us
        self.count = 0
        self.until_us: int | None = None
        self.again_us: int | None = None

    def attempt(self, now_us: int) -> None:
        """Work on it once more."""
        self.count += 1
        self.again_us = None
        work = self._new(self.run.trail)
        self.run.touched()
        self._supervision.work(work, now_us)

    def go_on(self, trail: Trail, progress: Progress, now_us: int) -> None:
        """Take up the attempt that was under way when the host went down.

        Raises:
            StateError: nothing can be made of its progress.
        """
        self._supervision.resume(self._new(trail), progress, now_us)

    def _new(self, trail: Trail) -> Run:
        work = self.work = Run(self, self.run.number, self.run.firing)
        work.trail = trail
        work.of = self.run
        work.again = self._goes_on
        return work

    def drop(self, now_us: int) -> None:
        """Stop what is under way."""
        work, self.work = self.work, None
        self.again_us = None
        if work is not None and not work.over:
            work.over = True
            self._supervision.stop(work, now_us)

    def awaits(self, due_us: int) -> bool:
        """Whether it waits for that moment."""
        return not self.run.over and due_us in (self.until_us, self.again_us)

    def due(self, due_us: int, now_us: int) -> None:
        """The deadline has passed, or the next attempt is due."""
        if self.run.over:
            return
        if due_us == self.until_us:
            self.drop(now_us)
            self._supervision.too_late(self.run, now_us)
        elif due_us == self.again_us:
            self.attempt(now_us)

    def ended(self, run: Run, outcome: Outcome, reason: str, now_us: int) -> None:
        """An attempt is over."""
        if run is not self.work:
            return
        self.work = None
        if outcome is not Outcome.FAILED:
            self._supervision.over(self.run, outcome, reason, now_us)
            return
        self.run.trail = tainted(self.run.trail, run.trail.taint)  # why it failed may be a text of what failed
        again_us = self._next_us(now_us)
        if again_us is None:
            told = reason if self.count == 1 else f"{reason} (after {self.count} attempts)"
            self._supervision.over(self.run, Outcome.FAILED, told, now_us)
            return
        self.again_us = again_us
        self.run.touched()
        self._supervision.note(
            self.run, f"attempt {self.count} failed, the next begins in {format_duration(again_us - now_us)}: {reason}", now_us
        )
        self._supervision.wake(self, again_us)

    def _goes_on(self, now_us: int) -> bool:
        """Whether another attempt follows if this one fails now."""
        return self._next_us(now_us) is not None

    def _next_us(self, now_us: int) -> int | None:
        """When the next attempt would be due; None if there is none before the deadline."""
        again_us = self._supervision.again_us(self, now_us)
        return None if again_us is None or (self.until_us is not None and again_us >= self.until_us) else again_us

    def cancel(self, run: Run, now_us: int) -> None:
        """Nobody cancels an attempt but the run that it is of."""
        if run is self.work:
            self.drop(now_us)
