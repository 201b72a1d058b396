"""Lets operators send work under their own name (docs/spec/topics.md, `op`)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from difflib import get_close_matches

from msgspec import structs

from edgematrix.errors import EdgeMatrixError, PathError, QueueFullError, RunError
from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.message import Message
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.runtime.engine import Engine, Hits
from edgematrix.runtime.front_desk import FrontDesk
from edgematrix.runtime.observation import Noted
from edgematrix.runtime.order import Order, Send

__all__ = ["SendDesk"]

_WAITING_MAX = 1_000


class SendDesk:
    """Carries out `send`: the agent gets the work as anybody's. A listener, and a timer, of the engine.

    What an agent elsewhere is sent, its own host carries out.

    Args:
        agents: the paths of those that are here.
        front: where orders come in and answers go out.
        has_room: whether an input, by its topic, may take more work now.
    """

    order = 0

    def __init__(
        self,
        engine: Engine,
        agents: Callable[[], Collection[AgentPath]],
        front: FrontDesk,
        has_room: Callable[[str], bool] = lambda topic: True,  # noqa: ARG005 - where nothing is kept there is nothing to wait for
    ) -> None:
        self._engine = engine
        self._agents = agents
        self._front = front
        self._has_room = has_room
        self.agent = engine.matrix
        self.filter = f"{engine.root}/{Kind.OP}/+/send/{engine.matrix}/#"
        """What a host subscribes to."""
        self._waiting: deque[Order] = deque()
        self._due_us: int | None = None
        engine.listen(TopicFilter.parse(self.filter), self)

    def receive(self, message: Message, hits: Hits, now_us: int) -> None:  # noqa: ARG002 - there is one input
        """Take what an operator asks for."""
        order = self._front.order_of(message, now_us)
        if order is not None and order.path not in self._engine.elsewhere:
            self._front.admit(order, lambda now_us: self._wait(order, now_us), now_us)

    def awaits(self, due_us: int) -> bool:
        """Whether it waits for that moment."""
        return due_us == self._due_us

    def due(self, due_us: int, now_us: int) -> None:
        """Hand the work in: outside any message, so that nothing else is half done."""
        if due_us != self._due_us:
            return
        self._due_us = None
        while self._waiting:
            order = self._waiting.popleft()
            try:
                self._hand_in(order, now_us)
            except EdgeMatrixError as error:
                self._front.refused(order, error, now_us)

    # Inside

    def _wait(self, order: Order, now_us: int) -> None:
        if len(self._waiting) >= _WAITING_MAX:
            self._front.refused(order, QueueFullError(f"{_WAITING_MAX} orders wait already", remedy="try again later"), now_us)
            return
        self._waiting.append(order)
        if self._due_us is None:
            self._due_us = now_us
            self._engine.schedule(self, now_us)

    def _hand_in(self, order: Order, now_us: int) -> None:
        asked, engine = order.asked, self._engine
        assert isinstance(asked, Send)  # noqa: S101 - the filter lets no other verb through
        topic = topic_for(engine.root, Kind.IN, order.path, asked.port)
        self._check(order.path, topic, asked)
        runid = order.trail.runid or order.trail.id
        trail = structs.replace(order.trail, runid=runid, expiry_us=None)
        engine.receive(Message(topic, asked.payload, qos=1, time_us=now_us, trail=trail, source=engine.matrix), now_us)
        text = f"{order.by} sent it to the input `{asked.port}`"
        engine.observe(Noted(now_us, order.path, runid, text))  # afterwards: a note is kept with the run that has begun
        self._front.done(order, [{"done": True, "port": asked.port, "run": runid}], now_us)

    def _check(self, path: AgentPath, topic: str, asked: Send) -> None:
        """Refuse what no agent here would take.

        Raises:
            PathError: there is no such agent or port; the nearest is named.
            RunError: it is paused, or the work is of the wrong type.
            QueueFullError: what is durable has no room.
        """
        engine, agents = self._engine, self._agents()
        if path not in agents:
            near = get_close_matches(path, agents, n=1, cutoff=0.5)
            raise PathError(f"there is no agent {path}", remedy=f"did you mean {near[0]}?" if near else "")
        if not engine.hears(topic):
            raise PathError(f"{path} has no input port {asked.port[:80]!r}")
        if engine.pauses.covers(path):
            raise RunError("it is paused", where=path, remedy=f"edgematrix resume {path}")
        check = engine.checks.get(topic)
        wrong = "" if check is None else check.reason(asked.payload)
        if wrong:
            raise RunError(f"the input `{asked.port}` is of the wrong type: {wrong}", where=path)
        if not self._has_room(topic):
            raise QueueFullError("half of outbox_durable_max waits: no durable work is taken", where=path, remedy="try again later")
