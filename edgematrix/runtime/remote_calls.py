"""What agents elsewhere call for here, and how its end is told (docs/spec/topics.md, "Calls between hosts").

Work that comes over the bus with the mark of a call is called for here in the name of whoever called: all that a call is told
reaches it. Once it is over, its end leaves on `em/out/{agent}/_end`, as `{"outcome": "done|failed|cancelled", "reason": ""}`
with the run's id, after its outputs. Where there are any, `outputs` names their ports: what is put out on one port may
overtake what is put out on another. `_end` is no name of the grammar, so no port is called so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from msgspec import structs

from edgematrix.errors import RunError, StateError
from edgematrix.protocol.duration import SECOND_US
from edgematrix.protocol.event import Trail, merged
from edgematrix.protocol.limits import Limits
from edgematrix.protocol.message import Message
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.runtime.arrivals import Arrivals
from edgematrix.runtime.call import Call
from edgematrix.runtime.call_limit import CallLimit
from edgematrix.runtime.calls import Calls
from edgematrix.runtime.edges import Edges
from edgematrix.runtime.failure import REASON_LENGTH_MAX, sayable
from edgematrix.runtime.kept_call import unbegun
from edgematrix.runtime.observation import Dropped, Observation
from edgematrix.runtime.outbound import Outbound
from edgematrix.runtime.routes import Listener
from edgematrix.runtime.stored_call import StoredCall
from edgematrix.runtime.stored_form import pack, unpack

__all__ = ["DONE", "END", "RemoteCalls"]

END = "_end"
"""Where the end of a call is told to whoever called from another host."""
DONE = "done"
"""The outcome of a call whose work was done."""
_FAILED, _CANCELLED = "failed", "cancelled"
_WHATEVER = frozenset({END})
"""Wanted ports of a call that ends with its work alone."""
_REASON_SHARE = 16
"""Of what a payload may have, the part that the reason of a failure may take: a letter is six bytes at most, written as JSON."""
_MOVED_US = 600 * SECOND_US
"""How long an agent that came from another host waits for what else a call gives it: that may have come there."""
_LEFT = "whoever asked for it does not wait any more"


class Called(Protocol):
    """Whose agents are called: an engine."""

    root: str
    calls: Calls
    outbox: deque[Outbound]
    limits: Limits
    elsewhere: frozenset[AgentPath]
    edges: Edges
    durable: set[AgentPath]
    command_expiry_us: int
    touched: list[Any]

    def next_trail(self, cause: Trail, now_us: int) -> Trail:
        """The trail of what `cause` led to."""

    def observe(self, observation: Observation) -> None:
        """Tell whoever observes."""

    def listeners(self, topic: str) -> Iterator[Listener]:
        """Who listens to `topic`."""

    def schedule(self, timer: CallLimit, due_us: int) -> None:
        """Call `timer.due` when `due_us` has come."""

    def hang_up(self, call: Call, now_us: int) -> None:
        """Wait for the end of a call no longer, and stop what works on it."""


class RemoteCalls:
    """The calls of agents elsewhere for those of an engine. Those for durable agents are kept for a restart."""

    STORE_KEY = "called"

    def __init__(self, engine: Called) -> None:
        self._engine = engine
        self._arrivals = Arrivals(self.touch)
        """What has come of the calls from elsewhere."""
        self.moved: set[AgentPath] = set()
        """Agents that came from another host: what a call gave them there has come, and is not known here."""
        self._until: dict[str, int] = {}
        """Until when the inputs of a call for one of these are awaited."""
        self._readers: dict[str, tuple[AgentPath, ...]] = {}
        """Who tells the end of a call of an agent that runs elsewhere, whose input agents here read."""
        self._changed: set[str] = set()
        """The calls of which something else is to be stored."""
        self._stored: set[str] = set()

    # Called from elsewhere

    def opens(self, message: Message, now_us: int) -> Sequence[Message]:
        """Take note of work that somebody elsewhere calls for. What is to be worked on now: nothing if it is not new, or not all."""
        engine, runid, given = self._engine, message.trail.runid, message.call_inputs
        if not runid or given is None:
            return (message,)
        receiver, port = self._address(message.topic)
        call = engine.calls.open.get(runid)
        if message.call_cancel:
            self._called_off(message, call, receiver, port, now_us)
            return ()
        known = self._arrivals.of(runid)
        if known is not None:
            return self._goes_on(message, call, known, receiver, port, now_us)
        if call is not None or runid in engine.calls.cancelled:
            engine.observe(Dropped(now_us, receiver, message.topic, _LEFT))
            self._never_began(message, receiver, port)
            return ()
        wanted = frozenset(message.call_wants.split()) or _WHATEVER
        caller, calls = AgentPath(message.source), engine.calls
        try:
            call = calls.begin(runid, caller, receiver, wanted, self._over, inputs=given, is_here=True)
        except RunError as error:
            self._tell(receiver, runid, _FAILED, error.what, now_us)
            self._never_began(message, receiver, port)
            return ()
        call.given, call.is_remote, call.awaiting = message.trail.taint, True, given - 1
        self._arrivals.begin(runid, (port,))
        self._spread(call, message.topic)
        if receiver in engine.durable:
            call.by = _Kept(self, runid)
            call.by.touched()
        ready = self._gather(call, message)
        self._bound(call, now_us)
        return ready

    def refuse(self, message: Message, reason: str, now_us: int) -> bool:
        """Tell whoever calls that nothing works on it. False if nobody called."""
        if message.call_inputs is None or not message.trail.runid:
            return False
        receiver, port = self._address(message.topic)
        call = self._engine.calls.open.get(message.trail.runid)
        if call is not None and call.is_remote:  # others of its inputs have come, and wait for this one
            self._arrivals.came(call.runid, port)
            self._engine.calls.fail(call.runid, reason, now_us)
            return True
        known = self._arrivals.of(message.trail.runid)
        if not message.call_cancel and (known is None or port in known):  # what comes again comes because that was lost
            self._tell(receiver, message.trail.runid, _FAILED, reason, now_us)
        self._never_began(message, receiver, port)
        return True

    # The store

    @property
    def store_key(self) -> str:
        """Under which calls that came from elsewhere are stored."""
        return self.STORE_KEY

    def touch(self, runid: str) -> None:
        """What is stored of a call is no longer what it was."""
        if not self._changed:
            self._engine.touched.append(self)
        self._changed.add(runid)

    def save(self) -> dict[str, bytes | None]:
        """What has changed since the last call, by run."""
        parts: dict[str, bytes | None] = {}
        for runid in sorted(self._changed):
            call = self._engine.calls.open.get(runid)
            if call is not None:
                self._stored.add(runid)
                parts[runid] = self._written(call)
            elif (kept := self._arrivals.lacking(runid)) is not None:
                self._stored.add(runid)
                parts[runid] = pack(StoredCall(0, sorted(self._arrivals.of(runid) or ()), kept, [], is_over=True))
            elif runid in self._stored:
                self._stored.discard(runid)
                parts[runid] = None
        self._changed.clear()
        return parts

    def load(self, parts: Mapping[str, bytes], now_us: int, damaged: Callable[[str, Exception], None]) -> None:
        """Take up what somebody elsewhere called for before the host went down, and waits for.

        Args:
            damaged: called with the key and the error where something cannot be read.
        """
        for runid, data in parts.items():
            self._stored.add(runid)
            try:
                stored = unpack(data, StoredCall)
            except StateError as error:
                damaged(f"{self.STORE_KEY} {runid}", error)
                self.touch(runid)
                continue
            if stored.is_over:
                self._arrivals.end(stored.call, is_certain=True, ports=stored.ports)
                continue
            call = self._engine.calls.reopen(stored.call, self._over, _Kept(self, runid))
            call.is_remote, call.awaiting, call.gathered = True, stored.awaiting, stored.gathered
            self._arrivals.begin(runid, stored.ports)
            self._bound(call, now_us, stored.call.until_us)

    def _written(self, call: Call) -> bytes:
        ports = sorted(self._arrivals.of(call.runid) or ())
        stored = StoredCall(call.awaiting, ports, self._engine.calls.keep(call, self._until.get(call.runid)), call.gathered)
        try:
            return pack(stored)
        except StateError:  # an output has no stored form: it was put out all the same
            return pack(structs.replace(stored, call=structs.replace(stored.call, outputs={})))

    # Called from here

    def spread(self, call: Call, topics: list[str]) -> None:
        """An agent here calls: others may have to tell their part of its end."""
        for topic in topics:
            self._spread(call, topic)

    def unsent(self, outbound: Outbound, reason: str, now_us: int) -> None:
        """What somebody elsewhere called for cannot leave this host: the call fails."""
        if outbound.is_answer and outbound.trail is not None:
            self._fail_unsent(AgentPath(outbound.source), outbound.trail.runid, f"what it put out cannot be sent: {reason}", now_us)

    # Inside

    def _called_off(self, message: Message, call: Call | None, receiver: AgentPath, port: str, now_us: int) -> None:
        """Whoever called waits no longer. What was given before on the port has come before.

        So of a call that nothing is known of any more, all has come: else it would be known that something is yet to come.
        """
        runid, given = message.trail.runid, message.call_inputs or 1
        if call is None:
            is_lacking = self._arrivals.lacking(runid) is not None
            self._arrivals.end(unbegun(message, receiver), is_certain=is_lacking, ports=(port,))
        elif call.is_remote and call.receiver == receiver and call.caller == message.source:
            call.inputs = given
            self._engine.hang_up(call, now_us)
            call.failure = _LEFT
            self._over(call, now_us)
        else:
            self._engine.observe(Dropped(now_us, receiver, message.topic, f"{message.source} has not called for {runid}"))

    def _never_began(self, message: Message, receiver: AgentPath, port: str) -> None:
        """What has come of a call that is over, or never was one, begins nothing; nor does what is yet to come of it."""
        is_certain = message.sequence is not None and receiver in self._engine.durable
        self._arrivals.end(unbegun(message, receiver), is_certain=is_certain, ports=(port,))

    def _address(self, topic: str) -> tuple[AgentPath, str]:
        path, _, port = topic.removeprefix(f"{self._engine.root}/{Kind.IN}/").rpartition("/")
        return AgentPath(path), port

    def _goes_on(
        self, message: Message, call: Call | None, known: set[str], receiver: AgentPath, port: str, now_us: int
    ) -> Sequence[Message]:
        """What is to be worked on now that another message of a call that is known has come."""
        engine = self._engine
        again = port in known
        self._arrivals.came(message.trail.runid, port)
        if call is not None and not again:
            self._spread(call, message.topic)
            call.awaiting = max(call.awaiting - 1, 0)
            if call.by is not None:
                call.by.touched()
            if not call.awaiting:
                engine.calls.look(call)
            return self._gather(call, message)
        if again:
            engine.observe(Dropped(now_us, receiver, message.topic, "it came again: this call was here before"))
            if call is None:  # where its end was heard, this is not
                self._tell(receiver, message.trail.runid, _FAILED, "it has ended, and its answer was lost on the way", now_us)
        else:
            engine.observe(Dropped(now_us, receiver, message.topic, "the call that it belongs to is over"))
        return ()

    def _gather(self, call: Call, message: Message) -> Sequence[Message]:
        """What of a call is to be worked on now that an input of it has come: all of its inputs at one instant.

        An agent here that reads an input of one elsewhere may never get the others.
        """
        if call.receiver in self._engine.elsewhere:
            return (message,)
        call.gathered.append(message)
        if call.awaiting:
            return ()
        ready, call.gathered = call.gathered, []
        return ready

    def _bound(self, call: Call, now_us: int, until_us: int | None = None) -> None:
        """See to it that the inputs which are yet to come are not awaited for ever; what is delivered for certain comes."""
        if not call.awaiting:
            return
        if until_us is None and self._is_certain(call):
            if call.receiver not in self.moved:
                return
            until_us = now_us + _MOVED_US
        if until_us is None:
            until_us = now_us + self._engine.command_expiry_us
        else:
            self._until[call.runid] = until_us
        self._engine.schedule(CallLimit(self._engine.calls, call, self._give_up), until_us)

    def _is_certain(self, call: Call) -> bool:
        """Whether the inputs that are yet to come are delivered for certain, to whichever host has the agent then."""
        return bool(call.gathered) and call.gathered[0].sequence is not None and call.receiver in self._engine.durable

    def _spread(self, call: Call, topic: str) -> None:
        """Whoever else works on it: agents elsewhere that read an input of an agent here, and the other way round."""
        engine = self._engine
        readers = engine.edges.inputs.get(topic)
        if readers:
            call.afar = (call.afar or set()) | readers
        if call.receiver in engine.elsewhere:
            here = {listener.agent for listener in engine.listeners(topic)}
            if here:
                self._readers[call.runid] = tuple(sorted(here | {*self._readers.get(call.runid, ())}))
                if not call.is_remote:
                    call.over_here = self._over_here
                    engine.calls.look(call)

    def _over(self, call: Call, now_us: int) -> None:
        """A call from elsewhere is over."""
        if call.by is not None:
            call.by.touched()
        is_certain = self._until.pop(call.runid, None) is None and self._is_certain(call)
        self._arrivals.end(structs.replace(self._engine.calls.keep(call), outputs={}), is_certain=is_certain)
        outcome = DONE if not call.failure else _CANCELLED if call.runid in self._engine.calls.cancelled else _FAILED
        for speaker in self._readers.pop(call.runid, (call.receiver,)):
            outputs = sorted(call.outputs) if speaker == call.receiver else ()
            taint = merged(call.given, call.taint) if call.failure else ""
            self._tell(speaker, call.runid, outcome, call.failure, now_us, gone=call.gone, outputs=outputs, taint=taint)

    def _over_here(self, call: Call, now_us: int) -> None:
        """The part of a call that is worked on here is over."""
        for speaker in self._readers.pop(call.runid, ()):
            self._tell(speaker, call.runid, _FAILED if call.failure else DONE, call.failure, now_us)

    def _tell(
        self,
        speaker: AgentPath,
        runid: str,
        outcome: str,
        reason: str,
        now_us: int,
        *,
        gone: bool = False,
        outputs: Sequence[str] = (),
        taint: str = "",
    ) -> None:
        engine = self._engine
        data: dict[str, object] = {"outcome": outcome, "reason": self._told(reason)}
        if outputs:
            data["outputs"] = list(outputs)
        if gone:
            data["gone"] = True
        topic = topic_for(engine.root, Kind.OUT, speaker, END)
        trail = engine.next_trail(Trail(runid, runid, taint=taint), now_us)
        said = Outbound(topic, data, speaker, now_us, 1, type=f"em.{Kind.OUT}.{END}", trail=trail, cause=runid)
        said.is_needed = True
        engine.outbox.append(said)

    def _told(self, reason: str) -> str:
        """Why a call has failed, in a form that can leave, whatever text an error has: without this word somebody would wait for ever."""
        return sayable(reason, min(REASON_LENGTH_MAX, self._engine.limits.payload_bytes_max // _REASON_SHARE))

    def _fail_unsent(self, speaker: AgentPath, runid: str, reason: str, now_us: int) -> None:
        """A call from elsewhere fails for what cannot leave: it has one end, and that leaves after all that the call has put out."""
        engine = self._engine
        if runid in engine.calls.open:
            engine.calls.fail(runid, reason, now_us)
            return
        topic = topic_for(engine.root, Kind.OUT, speaker, END)
        for outbound in engine.outbox:  # it is over, and its end is yet to leave
            if outbound.topic == topic and outbound.trail is not None and outbound.trail.runid == runid:
                if isinstance(outbound.value, dict) and outbound.value["outcome"] == DONE:
                    outbound.value = {"outcome": _FAILED, "reason": self._told(reason)}
                return

    def _give_up(self, call: Call, now_us: int) -> None:
        """Not all that a call gives has come."""
        if not call.awaiting:
            return
        call.awaiting = 0
        if call.receiver in self._engine.elsewhere:
            self._engine.calls.look(call)  # agents here read some of its inputs only
        else:
            self._engine.calls.fail(call.runid, "not all of its inputs have come", now_us)


class _Kept:
    """One call from elsewhere, as it is kept for a restart."""

    __slots__ = ("_remote", "_runid")

    def __init__(self, remote: RemoteCalls, runid: str) -> None:
        self._remote = remote
        self._runid = runid

    def touched(self) -> None:
        """The call is no longer what it was."""
        self._remote.touch(self._runid)
