"""Calls under way: work that somebody waits for the end of.

A call is a run of its own, begun by another; its id tells every message and every run that belong to it. It is over once all ports
that the caller wants have a value, or once the receiver's work has come to an end: then an agent that put out nothing has
returned nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Container, Iterator

from edgematrix.errors import RunError
from edgematrix.protocol.event import merged
from edgematrix.protocol.path import AgentPath, is_below
from edgematrix.runtime.call import ERROR, Answer, Call, Holder, Keeping
from edgematrix.runtime.kept_call import KeptCall
from edgematrix.runtime.observation import Outcome
from edgematrix.runtime.run import Run
from edgematrix.triggers import Reason, Start, Step

__all__ = ["Calls"]

_CANCELLED_MAX = 10_000
"""Cancelled calls that are remembered: work of theirs that still waits in a queue is not begun."""


_LOST = frozenset(
    {
        Reason.CLEARED, Reason.COOLDOWN, Reason.EVICTED, Reason.FULL, Reason.KEEP_FULL, Reason.LIMIT, Reason.NOT_KEPT, Reason.RATE,
        Reason.REPLACED, Reason.RUNNING, Reason.STALE, Reason.TIMED_OUT,
    }
)  # fmt: skip
"""Reasons that are no judgement of the work: it was lost for want of room, of time, or of what it waited for."""
_JUDGED = frozenset({Reason.CONDITION, Reason.IF_ERROR, Reason.IF_FALSE, Reason.REQUIRED})
"""Reasons that are one: an agent whose group does not fire for the work returns nothing."""


class Calls:
    """The book of calls.

    Args:
        calls_max: how many may be under way.
        left: told the run and the receiver of calls that nobody waits for any more, though their work waits in trigger groups.
    """

    def __init__(self, calls_max: int, left: Callable[[str, AgentPath], None] = lambda runid, receiver: None) -> None:  # noqa: ARG005 - nobody is told
        self._left = left
        self.open: dict[str, Call] = {}
        self.cancelled: OrderedDict[str, AgentPath] = OrderedDict()
        """Calls that nobody waits for any more, each with its receiver: no work of theirs begins."""
        self.held: dict[Holder, dict[str, Call]] = {}
        """The calls whose work waits in a group: each of its steps may begin it, or drop it."""
        self.wanted: dict[AgentPath, frozenset[str]] = {}
        """Which outputs steps of composites want, by the members that were called for them."""
        self._calls_max = calls_max
        self._unsettled: dict[str, Call] = {}
        """Calls of which nothing may be under way any more."""
        self._reopened: dict[str, Call] = {}
        """Calls from before a restart of which nobody has seen yet whether something is under way."""

    def begin(
        self, runid: str, caller: AgentPath, receiver: AgentPath, wanted: frozenset[str], answered: Answer, *, inputs: int, is_here: bool
    ) -> Call:
        """Note a call down.

        Raises:
            RunError: there are too many.
        """
        if len(self.open) >= self._calls_max:
            raise RunError(f"the host has calls_max, {self._calls_max}, calls under way already", where=receiver)
        call = self.open[runid] = Call(runid, caller, receiver, wanted, answered, inputs=inputs, is_here=is_here)
        if is_here:
            self._unsettled[runid] = call
        return call

    def reopen(self, kept: KeptCall, answered: Answer, by: Keeping | None) -> Call:
        """Go on with a call that was open when the host went down. Nothing is sent: what works on it is there already."""
        call = Call(kept.runid, kept.caller, kept.receiver, frozenset(kept.wanted), answered, inputs=kept.inputs, is_here=kept.is_here)
        call.given, call.taint, call.loss, call.by = kept.given, kept.taint, kept.loss, by
        call.outputs.update(kept.outputs)
        call.is_kept, call.afar = kept.is_kept, None if kept.afar is None else set(map(AgentPath, kept.afar))
        call.owed, call.ports = frozenset(kept.owed), kept.ports
        self.open[kept.runid] = self._reopened[kept.runid] = call
        return call

    def is_reopened(self, call: Call) -> bool:
        """Whether it is from before a restart, and what works on it is not taken up yet."""
        return call.runid in self._reopened

    def reopened(
        self, elsewhere: Collection[AgentPath], steady: Collection[AgentPath] = (), awaited: Container[AgentPath] = ()
    ) -> Iterator[tuple[Call, str]]:
        """The calls from before a restart of which nothing is under way any more, and why: all runs and groups were taken up.

        Args:
            elsewhere: the agents that run on other hosts now.
            steady: those of them that tell the end of their work, though it came while this host was down.
            awaited: those of them that may come here, and go on with their work.
        """
        reopened, self._reopened = self._reopened, {}
        for call in reopened.values():
            if call.runid not in self.open:
                continue
            if call.is_here and call.receiver in elsewhere and call.receiver in awaited:
                self._reopened[call.runid] = call
                continue
            if call.is_here != (call.receiver not in elsewhere):
                yield call, f"{call.receiver} was moved while it was under way"
            elif (call.afar or call.owed) and not (call.is_kept or call.is_here or call.receiver in steady):
                yield call, "the host went down while it was waited for"
            elif call.is_here and not call.runs and not call.held_by and not call.awaiting and not call.afar:
                yield call, call.loss or "the host went down while it was under way"

    def keep(self, call: Call, until_us: int | None = None) -> KeptCall:
        """An open call, for a restart."""
        return KeptCall(
            call.runid,
            call.caller,
            call.receiver,
            tuple(sorted(call.wanted)),
            call.inputs,
            call.is_here,
            call.given,
            call.outputs,
            call.taint,
            call.loss,
            call.is_kept,
            None if call.afar is None else tuple(sorted(call.afar)),
            until_us,
            tuple(sorted(call.owed)),
            call.ports,
        )

    def of(self, runid: str, agent: AgentPath) -> Call | None:
        """The open call that `agent` works for in this run. Whom a member sends to works in the same run, and for nobody."""
        call = self.open.get(runid)
        return call if call is not None and _is_part(agent, call.receiver) else None

    def heard(self, call: Call, port: str, value: object, taint: str, now_us: int) -> None:
        """The receiver has put something out."""
        call.outputs[port] = value
        if taint and port in call.wanted:
            call.taint = taint if not call.taint else merged(call.taint, taint)
        if (port != ERROR or not (call.is_here or call.afar)) and call.wanted <= call.outputs.keys():
            self._end(call, now_us)
            return
        if port in call.owed:
            call.owed -= {port}
            self.look(call)
        if call.by is not None:
            call.by.touched()

    def told(self, call: Call, speaker: AgentPath, failure: str, now_us: int, *, gone: bool = False, outputs: Collection[str] = ()) -> None:
        """An agent elsewhere has told how its work on a call has ended; no failure, it is done, and has put out `outputs`."""
        if failure:
            self.fail(call.runid, failure, now_us, gone=gone)
        elif call.afar is None or speaker in call.afar:
            call.afar = (call.afar or set()) - {speaker}
            call.owed |= frozenset(outputs) - call.outputs.keys()
            if call.by is not None:
                call.by.touched()
            self.look(call)

    def look(self, call: Call) -> None:
        """End a call as soon as nothing of it is under way any more."""
        self._unsettled[call.runid] = call

    def begun(self, run: Run) -> bool:
        """A run has begun; it may be the work of a call. False if that call was cancelled meanwhile."""
        runid = run.trail.runid
        call = self.open.get(runid)
        if call is None:
            return not self.is_forbidden(runid, run.runner.agent)
        if _is_part(run.runner.agent, call.receiver):
            if call.runs is None:
                call.runs = [run]
            else:
                call.runs.append(run)
        return True

    def over(self, run: Run, outcome: Outcome, reason: str, now_us: int) -> bool:
        """A run has ended. Whether it was work of a call that is still open: then whoever called hears of it."""
        call = self.open.get(run.trail.runid)
        if call is None or not call.runs or run not in call.runs:
            return False
        call.runs.remove(run)
        if outcome in (Outcome.DONE, Outcome.STOPPED):
            if not call.runs:
                self._unsettled[call.runid] = call
        else:
            call.taint = merged(call.taint, run.trail.taint)  # why it failed may be a text of what it was given
            self.fail(call.runid, reason or f"the run of {run.runner.agent} was {outcome}", now_us)
        return True

    def hold(self, call: Call, holder: Holder) -> None:
        """Work of a call comes to a group; its next step tells whether it waits there."""
        self.held.setdefault(holder, {})[call.runid] = call
        if call.held_by is None:
            call.held_by = [holder]
        elif holder not in call.held_by:
            call.held_by.append(holder)

    def stepped(self, holder: Holder, step: Step) -> str:
        """A group has taken a step in which work of calls may have begun, or been dropped.

        Returns:
            The id of the call whose work has gone into the one run that begins, though that follows from another run; else empty.
        """
        held = self.held[holder]
        started = [effect.firing.trail.runid for effect in step.effects if type(effect) is Start]
        for runid in started:
            if runid in held:
                self._let_go(held[runid], holder)
        if not held:
            return ""
        still = holder.runs_held()
        gone = [call for runid, call in held.items() if runid not in still]
        adopted = gone[0].runid if gone and len(started) == 1 and started[0] not in self.open else ""
        for call in gone:
            if call.runid != adopted:
                call.lose(_loss(step, waited=call.runid not in self._unsettled))
            self._let_go(call, holder)
            self._unsettled[call.runid] = call
        return adopted

    def forget(self, holder: Holder, reason: str) -> None:
        """A group goes, with all that waits in it."""
        for call in list(self.held.get(holder, {}).values()):
            call.lose(reason)
            self._let_go(call, holder)
            self._unsettled[call.runid] = call

    def fail(self, runid: str, reason: str, now_us: int, *, gone: bool = False) -> None:
        """The receiver cannot do it; nothing happens if nobody waits."""
        call = self.open.get(runid)
        if call is not None:
            call.failure = reason
            call.gone = gone
            self._end(call, now_us)

    def lost(self, path: AgentPath, reason: str, now_us: int, *, for_ever: bool = False) -> None:
        """An agent elsewhere is not there any more: whoever waits for it is told.

        Args:
            for_ever: also for calls that outlive its absence.
        """
        for call in list(self.open.values()):
            is_its = path in call.afar if call.afar else call.receiver == path and not call.is_here
            if is_its and (for_ever or not call.is_kept):
                self.fail(call.runid, reason, now_us, gone=True)

    def hang_up(self, call: Call, now_us: int) -> None:
        """Wait for it no longer, and stop what works on it."""
        if self.open.pop(call.runid, None) is None:
            return
        if call.held_by:
            self._left(call.runid, call.receiver)
        self._close(call)
        self.forbid(call.runid, call.receiver)
        for run in call.runs or ():
            run.runner.cancel(run, now_us)
        self._tell_over(call, now_us)

    def forbid(self, runid: str, receiver: AgentPath) -> None:
        """Let no work begin for a call that nobody waits for any more."""
        self.cancelled[runid] = receiver
        if len(self.cancelled) > _CANCELLED_MAX:
            self.cancelled.popitem(last=False)

    def is_forbidden(self, runid: str, agent: AgentPath) -> bool:
        """Whether what an agent is given in this run is for a call that nobody waits for any more. What others hear in it is theirs."""
        receiver = self.cancelled.get(runid)
        return receiver is not None and _is_part(agent, receiver)

    def settle(self, now_us: int) -> bool:
        """End the calls of which nothing is under way any more. Whether any was looked at."""
        if not self._unsettled:
            return False
        waiting, self._unsettled = self._unsettled, {}
        for call in waiting.values():
            if not call.runs and not call.awaiting and call.runid in self.open:
                self._settle(call, now_us)
        return True

    def _settle(self, call: Call, now_us: int) -> None:
        if call.held_by and (not call.outputs or call.afar or call.over_here is not None):
            return
        if call.over_here is not None:
            self._tell_over(call, now_us)
        if call.afar or call.owed:
            return
        if not call.outputs and call.runs is None:
            call.failure = call.loss
        self._end(call, now_us)

    def _end(self, call: Call, now_us: int) -> None:
        if self.open.pop(call.runid, None) is not None:
            self._close(call)
            self._tell_over(call, now_us)
            call.answered(call, now_us)

    def _tell_over(self, call: Call, now_us: int) -> None:
        over, call.over_here = call.over_here, None
        if over is not None:
            over(call, now_us)

    def _close(self, call: Call) -> None:
        self._unsettled.pop(call.runid, None)
        for holder in list(call.held_by or ()):
            self._let_go(call, holder)

    def _let_go(self, call: Call, holder: Holder) -> None:
        """Nothing of a call waits in a group any more."""
        if call.held_by:
            call.held_by.remove(holder)
        held = self.held[holder]
        del held[call.runid]
        if not held:
            del self.held[holder]


def _loss(step: Step, *, waited: bool) -> str:
    """Why work did not begin; empty where it was judged, and is not wanted."""
    for trace in step.traces:
        if trace.reason in _LOST:
            return trace.describe()
        if trace.reason in _JUDGED:
            return ""
    if any(type(effect) is Start for effect in step.effects):
        return "what it was given went into another run"
    return "newer work took the place of what it was given, while that waited" if waited else ""


def _is_part(path: str, of: str) -> bool:
    return path == of or is_below(path, of)
