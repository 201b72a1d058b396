"""Outputs that are streamed: their pieces on the way to the bus, and to the call that waits for the whole (docs/spec/topics.md, `part`).

A piece leaves the host where its run was called by nobody here, or by somebody elsewhere, or while somebody watches the agent. To a
caller on the same host it goes by memory. It is never a message: no trigger sees it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

from msgspec import structs

from edgematrix.protocol.event import Trail, tainted
from edgematrix.protocol.message import Message
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.runtime.call import Call
from edgematrix.runtime.calls import Calls
from edgematrix.runtime.observation import Dropped, Observation
from edgematrix.runtime.outbound import Outbound
from edgematrix.runtime.part import Part, Passing
from edgematrix.runtime.routes import PieceListener
from edgematrix.runtime.run import Run

__all__ = ["PartListener", "Speaker", "Streams"]


class Speaker(Protocol):
    """Whose agents stream: an engine."""

    root: str
    calls: Calls
    outbox: deque[Outbound]
    elsewhere: frozenset[AgentPath]
    watched: Callable[[str], bool]

    def next_trail(self, cause: Trail, now_us: int) -> Trail:
        """The trail of what `cause` led to."""

    def marked(self, agent: AgentPath, trail: Trail) -> Trail:
        """The trail of what an agent puts out."""

    def observe(self, observation: Observation) -> None:
        """Tell whoever observes."""

    def listeners(self, topic: str) -> Iterator[object]:
        """Who listens to `topic`."""


class Streams:
    """The pieces that an engine's agents stream."""

    def __init__(self, engine: Speaker) -> None:
        self._engine = engine

    def put_out(self, run: Run, port: str, value: object, now_us: int, *, lost: int = 0, taint: str = "") -> None:
        """Stream the next piece of a run.

        Args:
            lost: pieces that should have come before it and did not; their numbers are left out.
            taint: origins of untrusted text in it, beside those of the run.
        """
        streamed = run.streamed
        if streamed is None:
            streamed = run.streamed = {}
        sequence = streamed[port] = streamed.get(port, 0) + lost + 1
        self.spread(run.runner.agent, port, value, sequence, tainted(run.trail, taint), now_us, lost=lost)

    def spread(self, agent: AgentPath, port: str, value: object, sequence: int, trail: Trail, now_us: int, *, lost: int = 0) -> None:
        """Let a piece go wherever it is wanted."""
        engine = self._engine
        trail = engine.marked(agent, trail)
        call = engine.calls.open.get(trail.runid)
        if call is None or call.is_remote or engine.watched(agent):
            topic = topic_for(engine.root, Kind.PART, agent, port)
            made = engine.next_trail(trail, now_us)
            kind = f"em.{Kind.PART}.{port}"
            engine.outbox.append(Outbound(topic, value, agent, now_us, type=kind, trail=made, cause=trail.id, sequence=sequence))
        if call is not None and call.receiver == agent and call.part_heard is not None:
            call.part_heard(call, Part(value, sequence, port, lost, trail.taint), now_us)
        self._pass_on(agent, port, value, sequence, trail, now_us)

    def heard(self, message: Message, now_us: int) -> None:
        """Take a piece from elsewhere."""
        engine = self._engine
        head, _, port = message.topic.rpartition("/")
        agent = AgentPath(head.removeprefix(f"{engine.root}/{Kind.PART}/"))
        sequence = message.sequence
        if agent not in engine.elsewhere or sequence is None or sequence < 1:
            return
        call = engine.calls.open.get(message.trail.runid)
        if call is not None and call.receiver == agent and call.part_heard is not None:
            self._hand_over(call, Part(message.value, sequence, port, 0, message.trail.taint), now_us)
        self._pass_on(agent, port, message.value, sequence, message.trail, now_us)

    def _hand_over(self, call: Call, part: Part, now_us: int) -> None:
        """Give a piece from elsewhere to its call, in order: one that comes late, or twice, is dropped."""
        known = call.parts_heard
        if known is None:
            known = call.parts_heard = {}
        before = 0 if part.sequence == 1 else known.get(part.port, 0)
        if part.sequence <= before:
            topic = topic_for(self._engine.root, Kind.PART, call.receiver, part.port)
            self._engine.observe(Dropped(now_us, call.caller, topic, f"piece {part.sequence} came after piece {before}"))
            return
        known[part.port] = part.sequence
        if call.part_heard is not None:
            call.part_heard(call, structs.replace(part, lost=part.sequence - before - 1), now_us)

    def _pass_on(self, agent: AgentPath, port: str, value: object, sequence: int, trail: Trail, now_us: int) -> None:
        for listener in self._engine.listeners(topic_for(self._engine.root, Kind.OUT, agent, port)):
            if isinstance(listener, Passing):
                listener.pass_on(value, sequence, trail, now_us)


class PartListener(PieceListener):
    """Hears what an agent elsewhere streams.

    Args:
        agent: who wants it.
    """

    __slots__ = ("_streams", "agent")

    def __init__(self, streams: Streams, agent: AgentPath) -> None:
        self._streams = streams
        self.agent = agent

    def receive(self, message: Message, hits: object, now_us: int) -> None:  # noqa: ARG002 - there is one input
        """Take a piece."""
        self._streams.heard(message, now_us)
