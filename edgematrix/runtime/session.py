"""Between the engine and the bus: bytes in, bytes out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec import structs

from edgematrix.errors import CodecError, QueueFullError, TopicError
from edgematrix.protocol.codec import check_bounds, decode
from edgematrix.protocol.limits import Limits
from edgematrix.protocol.message import Message, Publication
from edgematrix.protocol.path import AgentPath, parent_of
from edgematrix.protocol.ports import Clock, Transport
from edgematrix.protocol.topic import Kind
from edgematrix.runtime.courier import Courier
from edgematrix.runtime.dead_letter import Origin
from edgematrix.runtime.denials import Denials
from edgematrix.runtime.engine import Engine
from edgematrix.runtime.epochs import Epochs
from edgematrix.runtime.herald import Herald
from edgematrix.runtime.leases import Leases
from edgematrix.runtime.observation import Dropped
from edgematrix.runtime.outbound import Outbound
from edgematrix.runtime.topology import Applied
from edgematrix.transport.refusal import is_refusal

if TYPE_CHECKING:
    from edgematrix.runtime.gate import Gate

__all__ = ["Session", "false_claim"]

_NOBODY: frozenset[AgentPath] = frozenset()
_NOT_HELD = "its agent's lease is not confirmed: another host may have it"
_NOT_LINKED = "its agent may move to another host, and there is no broker: it does not wait for one"
_ANY_SIZE = Limits(payload_bytes_max=1 << 60, depth_max=1 << 60)
"""What is refused is looked at as far as it can be read: its sender may go by other bounds."""
_PAYLOAD_SHOWN_MAX = 200
"""Bytes of an unreadable payload that its dead letter quotes."""


class Session:
    """One host's life on one broker; the `Link` of its transport.

    Args:
        name: the host's name.
        session: an id of this process's life, so that a will of an earlier life offends nobody.
        agents: the paths that live here, to begin with.
        revision: how often the definition was changed.
        changed: called with a sentence when the connection comes or goes.
    """

    def __init__(
        self,
        engine: Engine,
        transport: Transport,
        clock: Clock,
        *,
        name: str,
        session: str,
        agents: Iterable[AgentPath],
        revision: Callable[[], int] = lambda: 0,
        changed: Callable[[str], None],
    ) -> None:
        self.courier: Courier | None = None
        """What delivers for durable agents; None where nothing is kept, so that there is nothing to promise."""
        self.leases: Leases | None = None
        """Of the agents that may move to another host; None where none may."""
        self.gate: Gate | None = None
        """What lets signed messages in; None where none are signed."""
        self.epochs = Epochs()
        self._engine = engine
        self._transport = transport
        self._clock = clock
        self._name = name
        self._changed = changed
        self._own = f"{engine.root}/{Kind.OUT}/{engine.matrix}/"
        self._inbox = f"{engine.root}/{Kind.IN}/{engine.matrix}/"
        self._orders = f"{engine.root}/{Kind.OP}/"
        here = tuple(agents)
        self._local = frozenset(here)
        self._definitions = f"{engine.root}/{Kind.SPEC}/{engine.matrix}"
        self.deployed: Callable[[str, bytes], None] | None = None
        """Takes definitions and manifests as they are, by topic: their hashes are those of the bytes."""
        self.denials = Denials(name, changed)
        self.denied: Callable[[str], None] | None = None
        """Told of each publication that the broker refuses."""
        self.goes_on = False
        """Whether the host is there still when it runs nothing any more, so that it says no farewell."""
        self.greeted: Callable[[], None] | None = None
        """Called at each connection, once the host has said that it is there."""
        self.asked: Callable[[], None] | None = None
        """Asks at each connection for the manifest that stands."""
        self.dropped_count = 0
        self.herald = Herald(engine, clock, self._publish, name=name, session=session, agents=here, revision=revision, changed=changed)
        """What tells of the host and its agents."""

    @property
    def id(self) -> str:
        """That of this process's life."""
        return self.herald.id

    @property
    def is_linked(self) -> bool:
        """Whether the broker is there."""
        return self.herald.is_linked

    # What the transport tells

    def received(self, topic: str, payload: bytes, qos: int, retained: bool) -> None:
        """Let a message in, if it has to be signed and is, or need not be, and let the engine work on it."""
        if self.deployed is not None and topic.startswith(self._definitions):
            self.deployed(topic, payload)
        elif self.gate is not None and self.gate.guards(topic):
            if self._concerns(topic):
                self.gate.take(topic, payload, qos, retained)
                self._engine.settled()
        else:
            self.hand_in(topic, payload, qos, retained)

    def hand_in(self, topic: str, payload: bytes, qos: int, retained: bool, signed_by: str = "") -> None:
        """Decode a message and let the engine work on it.

        Args:
            topic: where it came.
            payload: what came, without a signature.
            qos: as it was delivered with.
            retained: the flag as delivered.
            signed_by: the principal whose signature of it is proved; empty where it need not be signed.
        """
        engine = self._engine
        now_us = self._clock.now_us()
        if not engine.hears(topic) and topic not in engine.edges.inputs:
            if topic.startswith(self._inbox) and self._owner(topic, self._inbox) not in engine.elsewhere:
                self._refuse(topic, payload, qos, "no agent here has this input port", now_us, signed_by)
            return
        if topic.startswith(self._own) and self._owner(topic, self._own) in self._local:
            return  # it was heard in memory already
        try:
            message = decode(topic, payload, retained=retained, qos=qos, limits=engine.limits)
        except CodecError as error:
            self._refuse(topic, payload, qos, str(error), now_us, signed_by)
            return
        if message.source:
            self._take_over_times(message)
        if not signed_by or self._is_sources(message, payload, signed_by):
            self._take(message, now_us)
        self._engine.settled()

    def connected(self, session_present: bool) -> None:
        """Announce the host and its agents; the broker may have forgotten them."""
        herald = self.herald
        was_linked, herald.is_linked = herald.was_linked, True
        self._changed("connected" if not session_present else "connected, session resumed")
        if self.leases is not None:
            self.leases.linked(herald.number + 1, self._clock.now_us())
        herald.greet()
        if self.gate is not None:
            self.gate.linked()
        if self.courier is not None:
            self.courier.linked()
        if was_linked and not session_present:
            self._engine.calling.unheard(self._clock.now_us())
        if self.greeted is not None:
            self.greeted()
        if self.asked is not None:
            self.asked()
        self._engine.settled()

    def disconnected(self, reason: str) -> None:
        """Say so; the transport tries again by itself."""
        self.herald.unlinked()
        if self.courier is not None:
            self.courier.unlinked()
        if self.gate is not None:
            self.gate.unlinked()
        self._changed(f"disconnected: {reason}")
        if self.leases is not None:
            self.leases.unlinked(self._clock.now_us())
            self._engine.settled()

    def refused(self, topic_filter: str, reason: str) -> None:
        """Say which subscription the broker refuses: what listens to it will hear nothing."""
        self._changed(f"the broker refuses {self._name} the subscription {topic_filter!r}: {reason}")

    def dropped(self, topic: str, reason: str) -> None:
        """Count and trace what the transport gave up; what the broker refused is told to people."""
        self._drop(topic, self._engine.matrix, reason)
        if is_refusal(reason):
            self.denials.note(topic, reason, self._clock.now_us())
            if self.courier is not None:
                self.courier.denied(topic, reason)
            if self.denied is not None:
                self.denied(topic)

    def confirmed(self, number: int) -> None:
        """The broker has taken a publication that has a number."""
        if self.courier is not None:
            self.courier.confirmed(number)
            self._engine.settled()  # there is room again, and one thing less to be kept

    def follow(self, applied: Applied) -> None:
        """Tell which agents came, went or changed. What is said while the broker is away is said when it is back."""
        self._local = frozenset(applied.agents)
        if self.courier is not None:
            self.courier.forget_routes()
        self.herald.follow(applied)

    # What the engine wants said

    def flush(self) -> None:
        """Hand everything that is in the engine's outbox to the transport."""
        outbox = self._engine.outbox
        publish, to_wall_us = self._transport.publish, self._clock.to_wall_us
        courier = self.courier if self._engine.durable else None
        warrant = None if self.leases is None else self.leases.warrant
        now_us = 0 if warrant is None else self._clock.now_us()
        while outbox:
            outbound = outbox.popleft()
            if (outbound.call_inputs is not None or outbound.is_answer) and not self._is_bounded(outbound):
                continue
            if warrant is not None and not warrant.may_leave(outbound, now_us):
                self._lose(outbound, _NOT_HELD)
                continue
            if courier is not None and courier.takes(outbound):
                continue
            if warrant is not None and not warrant.stamp(outbound, now_us):
                self._lose(outbound, _NOT_LINKED)
                continue
            try:
                publish(outbound.publication(to_wall_us))
            except (CodecError, QueueFullError, TopicError) as error:
                self._lose(outbound, error.what)

    def catch_up(self) -> None:
        """Work on what came when there was no room for what it leads to."""
        if self.courier is not None:
            while (message := self.courier.bare()) is not None:
                if self.gate is not None:
                    self.gate.take_up(message)
                self._work_on(message, None, self._clock.now_us())
                self.flush()

    def farewell(self) -> None:
        """Say that the host goes on purpose."""
        if not self.goes_on:
            self.herald.farewell()

    # Inside

    def _take(self, message: Message, now_us: int) -> None:
        """Let the engine work on a message, unless it was here before, or claims what it may not."""
        engine, courier = self._engine, self.courier
        if self._is_own_work(message):
            return
        for_whom = None
        if courier is not None:
            if message.epoch is not None and message.sequence is not None:
                for_whom = courier.take(message)
                if for_whom is not None and not for_whom:
                    return
            elif message.qos and engine.durable and not courier.takes_bare(message):
                if self.gate is not None:
                    self.gate.put_off(message)
                return
        self._work_on(message, for_whom, now_us)

    def _work_on(self, message: Message, for_whom: frozenset[AgentPath] | None, now_us: int) -> None:
        engine = self._engine
        reason = self._refusal(message, now_us)
        if reason is not None:
            if not self._tell_caller(message, reason, now_us):
                engine.dead_letter(engine.matrix, message.topic, message.value, reason, now_us, Origin(message.trail, message.source))
        elif for_whom is None:
            engine.receive(message, now_us)
        else:
            for agent in sorted(for_whom):
                engine.receive_for(agent, message, now_us)

    def _concerns(self, topic: str) -> bool:
        """Whether anything is made here of what comes on a topic; what is heard in memory comes from the bus in vain."""
        if topic.startswith(self._own) and self._owner(topic, self._own) in self._local:
            return False
        engine = self._engine
        return engine.hears(topic) or topic in engine.edges.inputs or topic.startswith(self._inbox)

    def _is_sources(self, message: Message, payload: bytes, name: str) -> bool:
        """Whether whoever has signed a message may speak for its source; else it is refused."""
        assert self.gate is not None  # noqa: S101 - it has told who signed
        if not message.source or message.topic.startswith(self._orders) or self.gate.trust.may_speak_for(name, message.source):
            return True
        self.gate.refuse_source(message.topic, payload, name, message.source)
        return False

    def _refuse(self, topic: str, payload: bytes, qos: int, reason: str, now_us: int, signed_by: str) -> None:
        """Nothing is made of it here: that is told once, to whoever calls if somebody does, and acknowledged where its sender waits."""
        engine, message = self._engine, None
        with suppress(CodecError):  # it is shown as it is
            message = decode(topic, payload, retained=False, qos=qos, limits=_ANY_SIZE)
        if message is not None:
            if signed_by and not self._is_sources(message, payload, signed_by):
                return
            is_of_edge = message.epoch is not None and message.sequence is not None
            if is_of_edge and self.courier is not None and self.courier.take(message) == _NOBODY:
                return
            if self._tell_caller(message, reason, now_us):
                engine.settled()
                return
        engine.dead_letter(engine.matrix, topic, _shown(payload), reason, now_us, Origin(raw=payload))
        engine.settled()

    def _tell_caller(self, message: Message, reason: str, now_us: int) -> bool:
        """Tell whoever calls, elsewhere or here, that nothing comes of it. False if nobody does."""
        engine, topic = self._engine, message.topic
        if topic.startswith(self._inbox):
            return self._owner(topic, self._inbox) in self._local and engine.remote.refuse(message, reason, now_us)
        call = engine.calls.open.get(message.trail.runid) if topic.startswith(self._own) else None
        if call is None or call.is_here or call.receiver != self._owner(topic, self._own):
            return False
        engine.calls.fail(call.runid, f"what it put out is refused here: {reason}", now_us)
        engine.advance(now_us)
        return True

    def _is_own_work(self, message: Message) -> bool:
        """Whether it is work that was sent from here, and heard in memory: agents on several hosts may read one input."""
        if message.source not in self._local or not message.topic.startswith(self._inbox):
            return False
        return message.topic in self._engine.edges.inputs or self._owner(message.topic, self._inbox) in self._engine.elsewhere

    def _publish(self, publication: Publication) -> None:
        try:
            self._transport.publish(publication)
        except QueueFullError as error:
            self._drop(publication.topic, self._engine.matrix, error.what)

    def _is_bounded(self, outbound: Outbound) -> bool:
        """Whether what a call leads to will be taken where it goes: else somebody would wait for what never comes."""
        try:
            check_bounds(outbound.publication(self._clock.to_wall_us).payload, self._engine.limits)
        except CodecError as error:
            self._lose(outbound, error.what)
            return False
        return True

    def _lose(self, outbound: Outbound, reason: str) -> None:
        self._drop(outbound.topic, outbound.source, reason)
        self._engine.unsent(outbound, reason, self._clock.now_us())

    def _drop(self, topic: str, path: str, reason: str) -> None:
        self.dropped_count += 1
        self._engine.observe(Dropped(self._clock.now_us(), path, topic, reason))

    def _owner(self, topic: str, head: str) -> AgentPath | None:
        """Whose port a topic below `head` is."""
        return parent_of(AgentPath(f"{self._engine.matrix}/{topic[len(head) :]}"))

    def _take_over_times(self, message: Message) -> None:
        """An event's times are those of wall clocks; here the timeline counts."""
        from_wall_us, trail = self._clock.from_wall_us, message.trail
        message.time_us = None if message.time_us is None else from_wall_us(message.time_us)
        if trail.expiry_us is not None:
            message.trail = structs.replace(trail, expiry_us=from_wall_us(trail.expiry_us))

    def _refusal(self, message: Message, now_us: int) -> str | None:
        """Why an event may not come in; None if it may. On `in` the source is a claim, on `out` it is what the topic spells."""
        hops_max = self._engine.limits.hops_max
        if message.trail.hops > hops_max:
            return f"{message.trail.hops} hops, hops_max is {hops_max}"
        if message.epoch is not None and message.sequence is None and not message.retained:
            newer = self.epochs.over(message.source, message.epoch)
            if newer is not None:
                return f"/{message.source} is on another host now: this is of its epoch {message.epoch}, and it speaks in {newer}"
        expiry_us = message.trail.expiry_us
        if expiry_us is not None and expiry_us <= now_us and message.topic.startswith(self._inbox):
            return "it came too late: its expirytime has passed"
        return false_claim(self._engine.root, message.topic, message.source)


def false_claim(root: str, topic: str, source: str) -> str | None:
    """What an event claims that its topic does not bear out: on `out`, a source is what the topic spells. None if nothing."""
    head = f"{root}/{Kind.OUT}/"
    if source and topic.startswith(head) and topic[len(head) :].rpartition("/")[0] != source:
        return f"the event claims /{source} as its source"
    return None


def _shown(payload: bytes) -> str:
    """As much of an unreadable payload as its dead letter quotes."""
    return payload[:_PAYLOAD_SHOWN_MAX].decode(errors="replace")
