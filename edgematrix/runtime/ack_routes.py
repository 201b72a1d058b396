"""Who acknowledges what comes and goes over durable edges, and whether anybody works on it."""

from __future__ import annotations

from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.topic import Kind
from edgematrix.runtime.answer import AnswerListener
from edgematrix.runtime.engine import Engine

__all__ = ["AckRoutes"]

_CACHED_MAX = 20_000
_NOBODY: frozenset[AgentPath] = frozenset()


class AckRoutes:
    """As it follows from who listens here, and from the edges between agents; `forget` when these change."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._in_head = f"{engine.root}/{Kind.IN}/"
        self._out_head = f"{engine.root}/{Kind.OUT}/"
        self._here: dict[str, frozenset[AgentPath]] = {}
        self._working: dict[str, bool] = {}

    def forget(self) -> None:
        """Agents have come or gone, here or elsewhere."""
        self._here.clear()
        self._working.clear()

    def owner_of(self, topic: str) -> AgentPath | None:
        """Whose input a topic is; None where it is no input."""
        return AgentPath(topic.removeprefix(self._in_head).rpartition("/")[0]) if topic.startswith(self._in_head) else None

    def here(self, topic: str) -> frozenset[AgentPath]:
        """The agents here that acknowledge what comes on a topic: durable ones that listen, and whose input it is."""
        found = self._here.get(topic)
        if found is None:
            if len(self._here) >= _CACHED_MAX:
                self._here.clear()
            engine = self._engine
            found = frozenset(engine.durable.intersection(listener.agent for listener in engine.listeners(topic)))
            owner = self.owner_of(topic)  # work on an input is always acknowledged
            if owner is not None and owner not in engine.elsewhere:
                found |= {owner}
            self._here[topic] = found
        return found

    def elsewhere(self, sender: str, topic: str) -> frozenset[AgentPath] | None:
        """Who acknowledges a publication; nobody where the broker does, None where it need not be stored."""
        engine = self._engine
        edges = engine.edges
        if topic.startswith(self._out_head):
            receivers = edges.readers_of(topic, AgentPath(sender))
            return receivers if receivers or topic in engine.deliveries else None
        owner = self.owner_of(topic)
        if owner is not None:
            return frozenset((owner,)) if owner in edges.acking else _NOBODY
        return None if topic.startswith(f"{engine.root}/") else _NOBODY

    def begins_work(self, topic: str) -> bool:
        """Whether somebody here works on what comes on a topic, also where it answers no call."""
        found = self._working.get(topic)
        if found is None:
            if len(self._working) >= _CACHED_MAX:
                self._working.clear()
            found = any(not isinstance(listener, AnswerListener) for listener in self._engine.listeners(topic))
            self._working[topic] = found
        return found
