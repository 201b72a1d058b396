"""What agents here call for elsewhere: whether who is called is there, and what becomes of a call that cannot leave, or is given up.

Whoever waits no longer says so on an input of the call, behind what was given there, where both ends are durable: it leaves with
the commit in which that was decided, is delivered for certain, and never comes before the call. To all others goes a `ctl` cancel,
which may be lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from msgspec import structs

from edgematrix.protocol.duration import SECOND_US
from edgematrix.protocol.event import Trail
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.runtime.call import Call
from edgematrix.runtime.call_limit import CallLimit
from edgematrix.runtime.calls import Calls
from edgematrix.runtime.edges import Edges
from edgematrix.runtime.marks import Marks
from edgematrix.runtime.outbound import Outbound
from edgematrix.runtime.pauses import Pauses

__all__ = ["Calling"]

_UNSEEN_US = 10 * SECOND_US
"""How long an agent that has never said that it is there has to say so, or to answer."""


class Caller(Protocol):
    """Whose agents call: an engine."""

    root: str
    matrix: AgentPath
    calls: Calls
    outbox: deque[Outbound]
    edges: Edges
    durable: set[AgentPath]
    command_expiry_us: int
    marks: Marks
    pauses: Pauses

    def next_trail(self, cause: Trail, now_us: int) -> Trail:
        """The trail of what `cause` led to."""

    def advance(self, now_us: int) -> None:
        """Do what follows at this instant."""

    def schedule(self, timer: CallLimit, due_us: int) -> None:
        """Call `timer.due` when `due_us` has come."""

    def control(self, sender: AgentPath, receiver: AgentPath, verb: str, data: object, now_us: int) -> None:
        """Tell an agent elsewhere what is to become of it."""


class Calling:
    """The calls of an engine's agents to agents elsewhere."""

    def __init__(self, engine: Caller) -> None:
        self._engine = engine
        self.delivers = False
        """Whether work for durable agents elsewhere is kept until it has arrived."""
        self.gone: dict[tuple[AgentPath, AgentPath], str] = {}
        """Why an agent elsewhere is known not to be there, by who would call it and its path."""
        self.seen: dict[AgentPath, tuple[str, object]] = {}
        """The host, and its session, of agents elsewhere that have said that they are there."""

    def begun(self, call: Call, now_us: int) -> None:
        """An agent here calls."""
        engine, receiver = self._engine, call.receiver
        if not call.is_here and receiver not in engine.edges.boards:
            call.afar = {receiver}
            call.is_kept = self.waits(call.caller, receiver)
            if not call.is_kept and receiver not in self.seen:
                engine.schedule(CallLimit(engine.calls, call, self._unseen), now_us + _UNSEEN_US)

    def waits(self, caller: AgentPath, receiver: AgentPath) -> bool:
        """Whether work for an agent elsewhere waits while this is not there."""
        engine = self._engine
        return self.delivers and caller in engine.durable and receiver in engine.edges.patient

    def born(self, agent: AgentPath, now_us: int) -> None:
        """An agent elsewhere is there for the first time: what it was called for before has not reached it."""
        for call in self._engine.calls.open.values():
            if call.receiver == agent:
                self._send_again(call, now_us)

    def unheard(self, now_us: int) -> None:
        """The broker has forgotten this host while it was away: what was answered meanwhile is lost, and told again."""
        for call in self._engine.calls.open.values():
            self._send_again(call, now_us)

    def follower(self, caller: AgentPath) -> Callable[[AgentPath, str, int], None]:
        """To be told when an agent elsewhere is gone, for a reason, or back (no reason), as whoever calls it sees it."""

        def changed(agent: AgentPath, reason: str, now_us: int) -> None:  # noqa: ARG001 - the signature of whoever is told
            if reason:
                self.gone[caller, agent] = reason
            else:
                self.gone.pop((caller, agent), None)

        return changed

    def hung_up(self, call: Call, now_us: int) -> None:
        """Nobody here waits for a call any more: whoever works on it elsewhere is told."""
        engine = self._engine
        if call.ports and self._is_delivered(call) and call.caller not in engine.pauses.suspended:
            if call.afar:  # else its end was told already
                self._call_off(call, now_us)
            return
        for receiver in sorted(call.afar or ()) if call.is_here or call.afar else (call.receiver,):
            engine.control(engine.matrix, receiver, "cancel", {"run": call.runid}, now_us)

    def unsent(self, outbound: Outbound, reason: str, now_us: int) -> None:
        """What is to be given elsewhere cannot leave this host: the call fails.

        What else it is to be given does not leave either; what has left already is called off.
        """
        engine, runid = self._engine, "" if outbound.trail is None else outbound.trail.runid
        call = engine.calls.open.get(runid)
        engine.calls.fail(runid, f"what it is to be given cannot be sent: {reason}", now_us)
        if call is not None and call.ports:
            place = next((place for place, sent in enumerate(call.sent) if sent.topic == outbound.topic), 0)
            self._hold_back(call.sent[place + 1 :])
            if place:
                call.ports = call.ports[:place]
                self.hung_up(call, now_us)
        engine.advance(now_us)

    # Inside

    def _hold_back(self, unsent: tuple[Outbound, ...]) -> None:
        """Let these not leave."""
        outbox = self._engine.outbox
        staying = [other for other in outbox if not any(other is held for held in unsent)] if unsent else outbox
        if len(staying) < len(outbox):
            outbox.clear()
            outbox.extend(staying)

    def _call_off(self, call: Call, now_us: int) -> None:
        """Say that a call is waited for no longer, behind what was given on its first port."""
        engine, port = self._engine, call.ports[0]
        topic = topic_for(engine.root, Kind.IN, call.receiver, port)
        trail = engine.next_trail(Trail(call.runid, call.runid), now_us)
        said = Outbound(topic, None, call.caller, now_us, 1, type=f"em.{Kind.IN}.{port}", trail=trail, cause=call.runid)
        said.call_inputs, said.call_cancel, said.is_needed = len(call.ports), True, True
        engine.outbox.append(said)

    def _is_delivered(self, call: Call) -> bool:
        """Whether what a call here gives is delivered from end to end."""
        engine = self._engine
        return self.delivers and call.caller in engine.durable and call.receiver in engine.edges.steady

    def _send_again(self, call: Call, now_us: int) -> None:
        """Its receiver takes a call once, however often it comes. What is delivered from end to end needs no second time."""
        engine = self._engine
        if call.sent and not self._is_delivered(call):
            for outbound in call.sent:
                patience_us = 0 if outbound.trail is None or not outbound.trail.taint else engine.marks.patience.get(outbound.topic, 0)
                expiry_us = now_us + engine.command_expiry_us + patience_us
                trail = None if outbound.trail is None else structs.replace(outbound.trail, expiry_us=expiry_us)
                engine.outbox.append(structs.replace(outbound, at_us=now_us, trail=trail))

    def _unseen(self, call: Call, now_us: int) -> None:
        if call.receiver not in self.seen:
            self._engine.calls.fail(call.runid, "nobody has said that it is there", now_us, gone=True)
