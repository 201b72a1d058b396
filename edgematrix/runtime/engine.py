"""All agents of one host as one deterministic machine: messages and time in, publications and work out.

No I/O, no clock, no task: the host drives it from the event loop, the simulator from a list.
At one instant timers come before messages, both in written order; what an agent puts out is heard by its
local listeners at the same instant, after the message that caused it has been seen by all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from msgspec import UNSET, structs

from edgematrix.errors import CodecError, RunError
from edgematrix.protocol.codec import as_read
from edgematrix.protocol.duration import SECOND_US
from edgematrix.protocol.event import Trail, tainted
from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.limits import Limits
from edgematrix.protocol.message import NO_TRAIL, Message
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.runtime.call import Answer, Call
from edgematrix.runtime.calling import Calling
from edgematrix.runtime.calls import Calls
from edgematrix.runtime.chains import Chains
from edgematrix.runtime.dead_letter import UNKNOWN, Origin
from edgematrix.runtime.dead_letters import DeadLetters
from edgematrix.runtime.echoes import Echoes
from edgematrix.runtime.ledger import Ledger
from edgematrix.runtime.observation import (
    DeadLettered,
    Dropped,
    Emitted,
    Fired,
    Noted,
    Observation,
    Observer,
    Published,
    Received,
    StepBegan,
)
from edgematrix.runtime.outbound import Outbound
from edgematrix.runtime.pauses import Pauses
from edgematrix.runtime.registry import Registry
from edgematrix.runtime.remote_calls import RemoteCalls
from edgematrix.runtime.routes import Hits, Listener, Routes
from edgematrix.runtime.streams import Streams
from edgematrix.runtime.timers import Timer, Timers

if TYPE_CHECKING:
    from edgematrix.runtime.order import Desk

COMMAND_EXPIRY_US = 30 * SECOND_US
"""How long work that leaves this host is worth something (docs/spec/topics.md, `in`)."""

NEVER_US = 1 << 62
"""No moment of any timeline."""

ANSWER = "out"
"""The port on which an answer is expected where nobody says otherwise."""
_ANSWER_ALONE = frozenset({ANSWER})

__all__ = ["ANSWER", "COMMAND_EXPIRY_US", "NEVER_US", "Engine", "Hits", "Keeper", "Listener", "Timer"]


class Keeper(Protocol):
    """Whoever has a state that outlives the process."""

    @property
    def store_key(self) -> str:
        """Under which it is stored."""

    def save(self) -> dict[str, bytes | None]:
        """What has changed since the last call, by key; None is gone."""


class Engine(Registry):
    """Routes messages to listeners and moments to timers, and collects what comes out.

    Args:
        root: the first level of the bus's own topics.
        matrix: the matrix's name, for what no agent is to blame for.
        new_id: makes an id from the time; unique, and deterministic in the simulator.
        limits: the bounds in force.
        echo: foreign publications are heard at the same instant, as by a broker inside; for the simulator.
    """

    def __init__(self, root: str, matrix: str, *, new_id: Callable[[int], str], limits: Limits | None = None, echo: bool = False) -> None:
        super().__init__(root, matrix, limits or Limits())
        self.command_expiry_us = COMMAND_EXPIRY_US
        self.skew_us = 0
        """The wall clock less the timeline: 0 until somebody sets the wall clock."""
        self.outbox: deque[Outbound] = deque()
        self.observers: list[Observer] = []
        """Who is told everything, each message received and published included."""
        self.tracers: list[Observer] = []
        """Who is told all but the messages."""
        self.settled: Callable[[], None] = lambda: None
        """Called after agents' code acted, outside any message and deadline: the outbox and the deadline may have changed."""
        self.touched: list[Keeper] = []
        """Whose stored state is no longer what it was."""
        self.stopped = False
        """Whether all is stored, and the host goes down: nothing that goes on at the next start does anything any more."""
        self.lapse_us = NEVER_US
        """When the first of the leases ends that agents here stand behind, unless it is renewed: nothing is done before it is looked at."""
        self.lapsed: Callable[[int], None] = lambda now_us: None  # noqa: ARG005 - no agent here has a lease
        """Called when that moment has come."""
        self.watched: Callable[[str], bool] = _nobody_watches
        self.desk: Desk | None = None
        """Where changes of the running matrix are asked for; None where there are none."""
        self.ailing: dict[AgentPath, str] = {}
        """Agents that cannot work for now, and why."""
        self.waiting: dict[AgentPath, int] = {}
        """How many commands of a device wait for a person."""
        self.ailed: Callable[[AgentPath], None] = lambda path: None  # noqa: ARG005 - nobody is told
        """Called when one of these comes or goes, or another number waits."""
        self.redact: Callable[[str], str] | None = None
        """Takes the values of secrets out of a text; None where no agent here may have any."""
        self.ledger = Ledger(self.limits, self.touched.append, self.schedule)
        self.calls = Calls(self.limits.calls_max, self.ledger.leave)
        self.calling = Calling(self)
        self.remote = RemoteCalls(self)
        self.pauses = Pauses(root, self.calls, self.observe)
        self.streams = Streams(self)
        self.letters = DeadLetters(self.limits, self.touched.append)
        self._echoes = Echoes()
        self._chains = Chains()
        self._new_id = new_id
        self._echo = echo
        self._far = self.limits.hops_max // 2
        self._routes = Routes(f"{root}/{Kind.PART}/")
        self._queue: deque[Message] = deque()
        self._timers = Timers()
        self._draining = False
        self._handled = 0

    # Listening

    def listen(self, topic_filter: TopicFilter, listener: Listener, index: int = 0) -> None:
        """Let `listener` have what matches, as its input `index`."""
        self._routes.add(topic_filter, listener, index)

    def unlisten(self, is_gone: Callable[[Listener], bool]) -> list[tuple[str, Listener]]:
        """Let these have nothing any more: what each was subscribed to."""
        return self._routes.remove(is_gone)

    def unschedule(self, is_gone: Callable[[Timer], bool]) -> None:
        """Forget what these wait for."""
        self._timers.forget(lambda timer, _: is_gone(timer))

    def subscribed(self, subscription: str) -> bool:
        """Whether somebody listens with such a filter."""
        return self._routes.has(subscription)

    def heard_by_agent(self, subscriptions: Container[str]) -> dict[AgentPath, list[str]]:
        """Which of these each agent listens to. It looks at all there are."""
        return self._routes.by_agent(subscriptions)

    def hears(self, topic: str) -> bool:
        """Whether anybody listens to `topic`."""
        return bool(self._routes.of(topic))

    def listeners(self, topic: str) -> Iterator[Listener]:
        """Who listens to `topic`."""
        return (listener for listener, _ in self._routes.of(topic))

    def receive(self, message: Message, now_us: int) -> None:
        """Hand in a message from outside, and work until nothing is left to do at this instant.

        What has become due is done first.
        """
        if now_us >= self.lapse_us:
            self.lapsed(now_us)
        if self._timers.is_due(now_us):
            self.advance(now_us)
        if message.call_inputs is None:
            self._queue.append(message)
        else:
            self._queue.extend(self._fitting(self.remote.opens(message, now_us), now_us))
        self._drain(now_us)

    def receive_for(self, agent: AgentPath, message: Message, now_us: int) -> None:
        """Hand in a message for one agent alone: other listeners have had it."""
        if now_us >= self.lapse_us:
            self.lapsed(now_us)
        ready = self._fitting((message,) if message.call_inputs is None else self.remote.opens(message, now_us), now_us)
        self._queue.extend(earlier for earlier in ready if earlier is not message)
        if message in ready:
            if self.marks.untrusted or self._echoes.known:
                message = self._marked(message)
            for listener, hits in self._routes.of(message.topic):
                if listener.agent == agent:
                    listener.receive(message, hits, now_us)
        self.advance(now_us)

    @property
    def works_long(self) -> bool:
        """Whether so much has followed from one message already that other work should have its turn."""
        return self._handled >= _LONG

    # Time

    @property
    def deadline_us(self) -> int | None:
        """The next moment at which `advance` has something to do."""
        return self._timers.next_us

    def schedule(self, timer: Timer, due_us: int) -> None:
        """Call `timer.due` when `due_us` has come."""
        self._timers.add(timer, due_us)

    def advance(self, now_us: int) -> None:
        """Do all that has become due, oldest first, and what follows from it at this instant."""
        if now_us >= self.lapse_us:
            self.lapsed(now_us)
        while self._timers.is_due(now_us):
            self._timers.ring(now_us)
            self._drain(now_us)
        self._drain(now_us)

    def settle(self, now_us: int) -> None:
        """Let what agents' code has put out be heard, and tell the host."""
        self.advance(now_us)
        self.settled()

    def ail(self, agent: AgentPath, reason: str) -> None:
        """Note why an agent cannot work for now, or (the empty text) that it can."""
        if self.ailing.get(agent, "") != reason:
            if reason:
                self.ailing[agent] = reason
            else:
                del self.ailing[agent]
            self.ailed(agent)

    def wait(self, agent: AgentPath, count: int) -> None:
        """Note how many commands of a device wait for a person."""
        if self.waiting.get(agent, 0) != count:
            self.waiting[agent] = count
            if not count:
                del self.waiting[agent]
            self.ailed(agent)

    # Putting out

    def emit(
        self, agent: AgentPath, port: str, value: object, trail: Trail, now_us: int, *, retained: bool = False, fits: bool = False
    ) -> None:
        """Put `value` out on the agent's own port; local listeners hear it at this instant.

        `retained` is handed on to local listeners: the value is old, as a device's retained message says. A value that the port
        does not take is dead-lettered; who has a run to fail has asked `misfit` before, and says that it `fits`.
        """
        if agent in self.marks.speakers:
            trail = self.marked(agent, trail)
        wrong = "" if fits else self.misfit(agent, port, value)
        if wrong:
            topic = topic_for(self.root, Kind.OUT, agent, port)
            self.dead_letter(agent, topic, value, wrong, now_us, Origin(trail, is_output=True))
        else:
            self._put_out(agent, port, value, trail, now_us, retained=retained)

    def send(self, sender: AgentPath, receiver: AgentPath, port: str, value: object, trail: Trail, now_us: int) -> None:
        """Send work to another agent's input port. What has outgrown any event is dead-lettered."""
        if sender in self.marks.speakers:
            trail = self.marked(sender, trail)
        topic = topic_for(self.root, Kind.IN, receiver, port)
        excess = self.excess(value)
        if excess:
            self.dead_letter(sender, topic, value, f"what is sent {excess}", now_us, Origin(trail, is_output=True))
            return
        self._put_in(topic, sender, value, self.next_trail(trail, now_us), trail.id, now_us)

    def call(
        self,
        caller: AgentPath,
        receiver: AgentPath,
        inputs: Sequence[tuple[str, object]],
        trail: Trail,
        now_us: int,
        answered: Answer,
        wanted: frozenset[str] = _ANSWER_ALONE,
    ) -> Call:
        """Send work, a value for each input port, and hear of its end: a run of its own, begun by that of `trail`.

        `answered` is called once: when all ports of `wanted` have a value, when the receiver's work on it is over, or when it fails.

        Raises:
            RunError: nobody has this port, a value has outgrown any event, there are too many calls, or too many hops led here; nothing
                was sent.
        """
        for port, value in inputs:
            excess = self.excess(value)
            if excess:
                raise RunError(f"what the input {port!r} of {receiver} is to be given {excess}", where=caller)
        here = receiver not in self.elsewhere
        topics = [topic_for(self.root, Kind.IN, receiver, port) for port, _ in inputs]
        if here and not all(map(self._is_read, topics)):
            deaf = next(port for (port, _), topic in zip(inputs, topics, strict=True) if not self._is_read(topic))
            raise RunError(f"nothing works on the input {deaf!r} of {receiver}", where=caller)
        if len(inputs) > 1 and self.checks:  # a single one is judged where it is heard
            for (port, value), topic in zip(inputs, topics, strict=True):
                wrong = self._misfit_in(topic, port, value)
                if wrong:
                    raise RunError(wrong, where=caller)
        if trail.hops >= self.limits.hops_max:
            raise RunError(f"{trail.hops + 1} hops led to this call, hops_max is {self.limits.hops_max}", where=caller)
        gone = self.calling.gone.get((caller, receiver)) if self.calling.gone else None
        if gone:
            raise RunError(f"{receiver}: {gone}", where=caller)
        if caller in self.marks.speakers:
            trail = self.marked(caller, trail)
        runid = self._new_id(now_us)
        call = self.calls.begin(runid, caller, receiver, wanted, answered, inputs=len(inputs), is_here=here)
        call.given = trail.taint
        if receiver in self.inner:
            self.calls.wanted[receiver] = wanted
        if self.elsewhere:
            call.ports = () if here else tuple(port for port, _ in inputs)
            self.calling.begun(call, now_us)
            self.remote.spread(call, topics)
        made = runid
        for (_, value), topic in zip(inputs, topics, strict=True):
            begun = Trail(made, runid, trail.hops + 1, trail.taint, trail.traceparent)
            self._put_in(topic, caller, value, begun, trail.id, now_us, call)
            made = self._new_id(now_us) if len(inputs) > 1 else runid
        return call

    def hang_up(self, call: Call, now_us: int) -> None:
        """Wait for the end of this call no longer, and stop what works on it; an agent elsewhere is told."""
        is_open = call.runid in self.calls.open
        self.calls.hang_up(call, now_us)
        if is_open:
            self.calling.hung_up(call, now_us)

    def unsent(self, outbound: Outbound, reason: str, now_us: int) -> None:
        """Something cannot leave this host: if it is of a call, that fails."""
        if outbound.call_inputs is not None:
            self.calling.unsent(outbound, reason, now_us)
        else:
            self.remote.unsent(outbound, reason, now_us)

    def control(self, sender: AgentPath, receiver: AgentPath, verb: str, data: object, now_us: int) -> None:
        """Tell an agent elsewhere what is to become of it."""
        trail = self.next_trail(NO_TRAIL, now_us)
        topic = topic_for(self.root, Kind.CTL, receiver, verb)
        self.outbox.append(Outbound(topic, data, sender, now_us, 1, type=f"em.{Kind.CTL}.{verb}", trail=trail))

    def publish(
        self,
        agent: AgentPath,
        topic: str,
        value: object,
        now_us: int,
        *,
        qos: int = 0,
        retain: bool = False,
        shown: object = UNSET,
        taint: str = "",
    ) -> None:
        """Publish a bare payload on a foreign topic.

        Args:
            shown: what is told of it, where the value itself is not to be.
            taint: the origins of untrusted text in it: they stand on it again where an agent here reads it back.
        """
        if self._is_mute(agent, topic, now_us):
            return
        taint = f"{taint} {self.marks.speakers[agent]}" if agent in self.marks.speakers else taint
        if (taint or self._echoes.known) and self.hears(topic):
            self._echoes.note(topic, self._as_read(value), taint)
        self.outbox.append(Outbound(topic, value, agent, now_us, qos, retain))
        if self.observers:
            self._show(Published(now_us, agent, topic, value if shown is UNSET else shown))
        if self._echo:
            self._queue.append(Message(topic, self._as_read(value), qos=qos))

    def dead_letter(self, agent: AgentPath, topic: str, value: object, reason: str, now_us: int, origin: Origin = UNKNOWN) -> None:
        """Report a message that could not be handled, and keep it."""
        trail = Trail(self._new_id(now_us))
        own_inputs = f"{topic_for(self.root, Kind.IN, agent)}/"
        letter = self.letters.take(trail.id, agent, topic, value, reason, now_us + self.skew_us, origin, own_inputs)
        data = {"topic": topic, "reason": reason, "payload": _OUTGROWN if self.excess(value, 2) else value}
        if letter.retries:
            data |= {"letter": letter.id, "retries": letter.retries}
        dead = topic_for(self.root, Kind.DEAD, agent)
        self.outbox.append(Outbound(dead, data, agent, now_us, 1, type="em.dead", trail=trail, cause=""))
        self.observe(DeadLettered(now_us, agent, topic, reason))

    def observe(self, observation: Observation) -> None:
        """Tell the listeners of observations."""
        for observer in self.tracers:
            observer(observation)
        for observer in self.observers:
            observer(observation)

    def trace(self, observation: Emitted | Fired | StepBegan) -> None:
        """Tell those who follow runs alone: it has happened before, or is told to others in another way."""
        for tracer in self.tracers:
            tracer(observation)

    def _show(self, message: Published | Received) -> None:
        """Tell those who are told everything of a message."""
        for observer in self.observers:
            observer(message)

    def begin_trail(self, cause: Trail, now_us: int) -> Trail:
        """The trail of a run that `cause` led to: all that the run puts out shares its id."""
        return cause if cause.runid else Trail(cause.id, self._new_id(now_us), cause.hops, cause.taint, cause.traceparent)

    def next_trail(self, cause: Trail, now_us: int) -> Trail:
        """The trail of a message that `cause` led to."""
        made = self._new_id(now_us)
        return Trail(made, cause.runid or made, cause.hops + 1, cause.taint, cause.traceparent)

    def marked(self, agent: AgentPath, trail: Trail) -> Trail:
        """The trail of what an agent puts out: with its own mark, where all that it says is untrusted."""
        return tainted(trail, self.marks.speakers.get(agent, ""))

    # Inside

    def _marked(self, message: Message) -> Message:
        """A message as it is heard here: what comes on some topics is untrusted, and so is what of it was published and comes back."""
        taint = self.marks.origin_of(message.topic) if self.marks.untrusted else ""
        if self._echoes.known and not message.source:
            taint = f"{taint} {self._echoes.of(message.topic, message.value)}".strip()
        trail = tainted(message.trail, taint)
        return message if trail is message.trail else structs.replace(message, trail=trail)

    def _as_read(self, value: object) -> object:
        """A published value as it is read where it comes back; what is beyond what is read, as it is."""
        try:
            return as_read(value, self.limits)
        except CodecError:
            return value

    def _is_read(self, topic: str) -> bool:
        """Whether anybody, here or elsewhere, works on an input."""
        return bool(self._routes.of(topic)) or topic in self.edges.inputs

    def _put_in(
        self, topic: str, sender: AgentPath, value: object, trail: Trail, after: str, now_us: int, call: Call | None = None
    ) -> None:
        """Give work to an agent: in memory where it is here, else over the bus, where it does not stay for ever."""
        if self._is_mute(sender, topic, now_us):
            return
        local = self.hears(topic)
        leaves = not local or (bool(self.elsewhere) and (topic in self.edges.inputs or self._owner_of(topic) in self.elsewhere))
        if trail.hops > self._far and not self._goes_on(self._owner_of(topic), topic, value, trail, after, now_us):
            return
        if leaves:
            bounded = trail
            if sender not in self.durable or self._owner_of(topic) not in self.edges.lasting:
                patience_us = self.marks.patience.get(topic, 0) if trail.taint else 0
                bounded = structs.replace(trail, expiry_us=now_us + self.command_expiry_us + patience_us)
            kind = f"em.{Kind.IN}.{topic.rpartition('/')[2]}"
            outbound = Outbound(topic, value, sender, now_us, 1, type=kind, trail=bounded, cause=after)
            if call is not None:
                outbound.call_inputs, outbound.call_wants = call.inputs, " ".join(sorted(call.wanted))
                call.sent = (*call.sent, outbound)
            self.outbox.append(outbound)
        if self.observers:
            self._show(Published(now_us, sender, topic, value))
        if local:
            self._queue.append(Message(topic, value, qos=1, time_us=now_us, trail=trail, source=sender))

    def _put_out(self, agent: AgentPath, port: str, value: object, cause: Trail, now_us: int, *, retained: bool) -> None:
        """Put a value out: to the bus, to local listeners, and to whoever has called for it."""
        topic = topic_for(self.root, Kind.OUT, agent, port)
        if self._is_mute(agent, topic, now_us):
            return
        call = self.calls.open.get(cause.runid)
        is_answer = call is not None and call.is_remote and call.receiver == agent
        leaves = agent not in self.inner or topic in self.deliveries or is_answer or topic in self.edges.outputs or self.watched(agent)
        local = self.hears(topic)
        if leaves or local:
            trail = self.next_trail(cause, now_us)
            if trail.hops > self._far and not self._goes_on(agent, topic, value, trail, cause.id, now_us):
                return
            qos, retain = self.deliveries.get(topic, _FORGOTTEN)
            if leaves:
                outbound = Outbound(topic, value, agent, now_us, qos, retain, f"em.{Kind.OUT}.{port}", trail, cause.id)
                if is_answer:
                    outbound.qos, outbound.is_answer = 1, True
                self.outbox.append(outbound)
            if self.observers:
                self._show(Published(now_us, agent, topic, value))
            if local:
                self._queue.append(Message(topic, value, retained, qos, now_us, trail, agent))
        if call is not None and call.receiver == agent:
            self.calls.heard(call, port, value, cause.taint, now_us)
        elif agent in self.inner:
            if port in self.calls.wanted.get(agent, _ANSWER_ALONE):  # what no step ever wants is never out of turn
                what = f"`{port}` was put out of turn: no step waits for it"
                self.observe(Noted(now_us, agent, cause.runid, what))
        elif call is None and cause.runid:
            self.trace(Emitted(now_us, agent, cause.runid, port, value))

    def _is_mute(self, agent: AgentPath, topic: str, now_us: int) -> bool:
        """Whether an agent may put nothing out, for it is not this host's any more: that is told."""
        if now_us >= self.lapse_us:
            self.lapsed(now_us)
        if agent not in self.pauses.suspended:
            return False
        self.observe(Dropped(now_us, agent, topic, f"{agent} is not this host's any more"))
        return True

    def _owner_of(self, topic: str) -> AgentPath:
        """Whose input port a topic is."""
        return AgentPath(topic.removeprefix(f"{self.root}/{Kind.IN}/").rpartition("/")[0])

    def _goes_on(self, owner: AgentPath, topic: str, value: object, trail: Trail, cause: str, now_us: int) -> bool:
        """Whether a chain may be that long. One that is has come back to where it was: the dead letter names the ring."""
        if trail.hops <= self.limits.hops_max:
            self._chains.add(trail.id, cause, topic)
            return True
        head = f"{self.root}/"
        named = " -> ".join(place.removeprefix(head) for place in self._chains.ring(cause, topic))
        reason = f"{trail.hops} hops, hops_max is {self.limits.hops_max}: agents trigger one another, {named}"
        is_output = topic.startswith(f"{self.root}/{Kind.OUT}/")
        self.dead_letter(owner, topic, value, reason, now_us, Origin(trail, is_output=is_output))
        return False

    def _drain(self, now_us: int) -> None:
        """Deliver what is queued. Messages that these cause are queued behind them, up to `cascade_max`."""
        if self._draining:
            return
        self._draining = True
        self._handled = 0
        queue, known = self._queue, self._routes.known
        try:
            while queue or self.calls.settle(now_us):
                if not queue:
                    continue
                message = queue.popleft()
                routes = known.get(message.topic)
                if routes is None:
                    routes = self._routes.of(message.topic)
                if not routes:
                    continue
                self._handled += 1
                if self._handled > self.limits.cascade_max:
                    self._give_up(message, now_us)
                    break
                if self.checks and not self._fits(message, now_us):
                    continue
                if self.marks.untrusted or self._echoes.known:
                    message = self._marked(message)
                if self.observers:
                    self._show(Received(now_us, message.topic, message.value, message.retained))
                for listener, hits in routes:
                    listener.receive(message, hits, now_us)
        finally:
            self._draining = False

    def _fitting(self, messages: Sequence[Message], now_us: int) -> Sequence[Message]:
        """These inputs of a call, or none where one is of the wrong type: what is refused is not done in part."""
        return messages if not self.checks or all(self._fits(message, now_us) for message in messages) else ()

    def _misfit_in(self, topic: str, port: str, value: object) -> str:
        """Why an input does not take a value; empty if it does."""
        check = self.checks.get(topic)
        wrong = "" if check is None else check.reason(value)
        return f"the input `{port}` is of the wrong type: {wrong}" if wrong else ""

    def _fits(self, message: Message, now_us: int) -> bool:
        """Whether work is what the input port takes. If not, whoever has called is told; else it is dead-lettered."""
        if message.topic not in self.checks or not message.topic.startswith(f"{self.root}/{Kind.IN}/"):
            return True  # outputs are judged where they are put out
        receiver, port = self._owner_of(message.topic), message.topic.rpartition("/")[2]
        reason = self._misfit_in(message.topic, port, message.value)
        if not reason:
            return True
        call = self.calls.of(message.trail.runid, receiver)
        if call is not None:
            self.calls.fail(call.runid, reason, now_us)
        else:
            self.dead_letter(receiver, message.topic, message.value, reason, now_us, Origin(message.trail, message.source))
        return False

    def _give_up(self, message: Message, now_us: int) -> None:
        reason = f"one message caused more than cascade_max, {self.limits.cascade_max}, others at one instant"
        self.dead_letter(self.matrix, message.topic, message.value, reason, now_us, Origin(message.trail, message.source))
        lost = [message, *self._queue]
        self._queue.clear()
        for waiting in lost[1:]:
            self.observe(Dropped(now_us, self.matrix, waiting.topic, reason))
        for waiting in lost:
            self.calls.fail(waiting.trail.runid, reason, now_us)
        if self._queue:
            self.schedule(_Rest(), now_us)


class _Rest:
    """What whoever lost work by a storm has to say: it comes in a turn of its own."""

    order = 0

    def due(self, due_us: int, now_us: int) -> None:
        """The engine goes on by itself."""

    def awaits(self, due_us: int) -> bool:  # noqa: ARG002 - the signature of all timers
        """Its moment is the present one."""
        return True


_LONG = 500
"""Messages at one instant, after which code begins in a task, so that the event loop turns."""
_OUTGROWN = "(it is too deep, or too much, to be shown)"
_FORGOTTEN = (0, False)
"""QoS and retain flag of an output of which the definition says nothing."""


def _nobody_watches(path: str) -> bool:  # noqa: ARG001 - the signature of `watched`
    return False
