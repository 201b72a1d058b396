"""Calls under way: work that somebody waits for the end of.

A call is a run of its own, begun by another; its id tells every message and every run that belong to it. It is over once all ports
that the caller wants have a value, or once the receiver's work has come to an end: then an agent that put out nothing has
returned nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeAlias

from edgematrix.errors import RunError
from edgematrix.protocol.path import AgentPath, is_below
from edgematrix.runtime.observation import Outcome
from edgematrix.runtime.run import Run
from edgematrix.runtime.streams import Part
from edgematrix.triggers import Reason, Trace

__all__ = ["Call", "Calls", "Holder"]

_CANCELLED_MAX = 10_000
"""Cancelled calls that are remembered: work of theirs that still waits in a queue is not begun."""


class Holder(Protocol):
    """Whoever may hold work back before it begins: a trigger group in a host."""

    def holds(self, runid: str) -> bool:
        """Whether a token or a firing of this run waits in it."""

    def runs(self) -> Sequence[Run]:
        """The runs under way."""

    def retire(self, now_us: int) -> None:
        """End what is under way, and begin nothing any more: the agent is taken out."""

    def waits_for(self, runid: str) -> str:
        """What the agent waits for in this run, in words; empty if it does not say."""


class Call:
    """One call. Its end is told once, by `answered(call, now_us)`.

    `outputs` are the values by port, `failure` says why there is nothing more, `gone` that the receiver is not there. `taint`
    has the origins of untrusted text in the outputs.
    """

    __slots__ = (
        "answered",
        "caller",
        "failure",
        "given",
        "gone",
        "is_here",
        "outputs",
        "part_heard",
        "parts_heard",
        "receiver",
        "refusal",
        "runid",
        "runs",
        "taint",
        "wanted",
    )

    def __init__(
        self, runid: str, caller: AgentPath, receiver: AgentPath, wanted: frozenset[str], answered: Answer, *, is_here: bool
    ) -> None:
        self.runid = runid
        self.caller = caller
        self.receiver = receiver
        self.wanted = wanted
        self.answered = answered
        self.is_here = is_here
        self.outputs: dict[str, object] = {}
        self.taint = ""
        self.given = ""
        """The taint of what it was given."""
        self.failure = ""
        self.gone = False
        self.part_heard: Callable[[Call, Part, int], None] | None = None
        """Called with each piece of its outputs that is streamed, where the caller wants them."""
        self.parts_heard: dict[str, int] | None = None
        """The newest piece by port, where the receiver is elsewhere."""
        self.refusal: Trace | None = None
        """Why a group of the receiver did not fire."""
        self.runs: list[Run] | None = None
        """The runs of the receiver that are under way; None before the first."""


Answer: TypeAlias = Callable[[Call, int], None]

_DROPPED = frozenset({Reason.COOLDOWN, Reason.FULL, Reason.LIMIT, Reason.RATE, Reason.REPLACED, Reason.RUNNING, Reason.THROTTLED})
"""Reasons that are no judgement of the work: it was lost for want of room or time."""


class Calls:
    """The book of calls.

    Args:
        holders: who may hold work of an agent, and of those below it, back.
        calls_max: how many may be under way.
    """

    def __init__(self, holders: Callable[[AgentPath], Iterable[Holder]], calls_max: int) -> None:
        self.open: dict[str, Call] = {}
        self.cancelled: OrderedDict[str, None] = OrderedDict()
        self._holders = holders
        self._calls_max = calls_max
        self._unsettled: dict[str, Call] = {}
        """Calls of which nothing may be under way any more."""

    def begin(self, runid: str, caller: AgentPath, receiver: AgentPath, wanted: frozenset[str], answered: Answer, *, is_here: bool) -> Call:
        """Note a call down.

        Raises:
            RunError: there are too many.
        """
        if len(self.open) >= self._calls_max:
            raise RunError(f"the host has calls_max, {self._calls_max}, calls under way already", where=receiver)
        call = self.open[runid] = Call(runid, caller, receiver, wanted, answered, is_here=is_here)
        if is_here:
            self._unsettled[runid] = call
        return call

    def heard(self, call: Call, port: str, value: object, taint: str, now_us: int) -> None:
        """The receiver has put something out."""
        call.outputs[port] = value
        if taint and port in call.wanted:
            call.taint = taint if not call.taint else f"{call.taint} {taint}"
        if call.wanted <= call.outputs.keys():
            self._end(call, now_us)

    def begun(self, run: Run) -> bool:
        """A run has begun; it may be the work of a call. False if that call was cancelled meanwhile."""
        runid = run.trail.runid
        call = self.open.get(runid)
        if call is None:
            return runid not in self.cancelled
        if _is_part(run.runner.agent, call.receiver):
            if call.runs is None:
                call.runs = [run]
            else:
                call.runs.append(run)
        return True

    def over(self, run: Run, outcome: Outcome, reason: str, now_us: int) -> None:
        """A run has ended."""
        call = self.open.get(run.trail.runid)
        if call is None or not call.runs or run not in call.runs:
            return
        call.runs.remove(run)
        if outcome in (Outcome.DONE, Outcome.STOPPED):
            if not call.runs:
                self._unsettled[call.runid] = call
        else:
            self.fail(call.runid, reason or f"the run of {run.runner.agent} was {outcome}", now_us)

    def refused(self, runid: str, trace: Trace) -> None:
        """A group of the receiver did not fire."""
        call = self.open.get(runid)
        if call is not None:
            call.refusal = trace

    def fail(self, runid: str, reason: str, now_us: int, *, gone: bool = False) -> None:
        """The receiver cannot do it; nothing happens if nobody waits."""
        call = self.open.get(runid)
        if call is not None:
            call.failure = reason
            call.gone = gone
            self._end(call, now_us)

    def lost(self, path: AgentPath, reason: str, now_us: int) -> None:
        """An agent, with all below it, is not there any more: whoever waits for it is told."""
        for call in [call for call in self.open.values() if _is_part(call.receiver, path)]:
            self.fail(call.runid, reason, now_us, gone=True)

    def hang_up(self, call: Call, now_us: int) -> None:
        """Wait for it no longer, and stop what works on it."""
        if self.open.pop(call.runid, None) is None:
            return
        self._unsettled.pop(call.runid, None)
        self.cancelled[call.runid] = None
        if len(self.cancelled) > _CANCELLED_MAX:
            self.cancelled.popitem(last=False)
        for run in call.runs or ():
            run.runner.cancel(run, now_us)

    def settle(self, now_us: int) -> bool:
        """End the calls of which nothing is under way any more. Whether any was looked at."""
        if not self._unsettled:
            return False
        waiting, self._unsettled = self._unsettled, {}
        for call in waiting.values():
            if not call.runs and call.runid in self.open:
                self._settle(call, now_us)
        return True

    def _settle(self, call: Call, now_us: int) -> None:
        if not call.outputs:
            if any(holder.holds(call.runid) for holder in self._holders(call.receiver)):
                return
            if call.runs is None and call.refusal is not None and call.refusal.reason in _DROPPED:
                call.failure = call.refusal.describe()
        self._end(call, now_us)

    def _end(self, call: Call, now_us: int) -> None:
        if self.open.pop(call.runid, None) is not None:
            self._unsettled.pop(call.runid, None)
            call.answered(call, now_us)


def _is_part(path: str, of: str) -> bool:
    return path == of or is_below(path, of)
