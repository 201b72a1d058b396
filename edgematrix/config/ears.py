"""Lets agents hear one another, and foreign topics: in memory where all are here, from the bus where some are elsewhere."""

from __future__ import annotations

from collections.abc import Callable

from edgematrix.config.agent_tree import AgentNode, AgentTree, Target
from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.path import AgentPath, is_below
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.runtime.answer import AnswerListener
from edgematrix.runtime.assembly import Parts
from edgematrix.runtime.draft import Site
from edgematrix.runtime.engine import Engine, Listener
from edgematrix.runtime.streams import PartListener

__all__ = ["Ears"]


class Ears:
    """What agents that are being built listen to.

    Args:
        site: where listeners are put: an engine, or a draft of what is to be in one.
        parts: takes what is to be subscribed to.
    """

    def __init__(self, tree: AgentTree, engine: Engine, site: Site, parts: Parts) -> None:
        self._tree = tree
        self._engine = engine
        self._site = site
        self._parts = parts
        self._called: dict[AgentPath, set[AgentPath]] = {}
        """The agents elsewhere that each agent may call."""

    def follow_port(self, target: Target, qos: int) -> None:
        """Subscribe to what is listened to already, where it comes from elsewhere now."""
        if target.node.is_elsewhere:
            self.subscribe(TopicFilter.parse(topic_for(self._tree.matrix.root, target.kind, target.node.path, target.port)), qos)

    def hear_answers(self, caller: AgentPath, node: AgentNode) -> None:
        """Hear what an agent elsewhere answers; one that is here is heard by the engine itself."""
        if node.is_elsewhere:
            topic = topic_for(self._tree.matrix.root, Kind.OUT, node.path, "+")
            self.listen(TopicFilter.parse(topic), AnswerListener(self._engine, caller), qos=1)
            self.hear_parts(caller, node)
            if not node.is_board:
                self._called.setdefault(caller, set()).add(node.path)

    def follow_called(self, caller: AgentPath) -> None:
        """Let an agent know which of those elsewhere that it may call are there."""
        called = self._called.pop(caller, None)
        if called:
            self.follow(caller, sorted(called), self._engine.calling.follower(caller))

    def hear_below(self, node: AgentNode) -> None:
        """Let an agent with code hear what is below it, which it may call without a wire."""
        if node.spec.python is not None and node.spec.agents:
            for below in self._tree:
                if is_below(below.path, node.path):
                    self.hear_answers(node.path, below)

    def hear_readers(self, node: AgentNode) -> None:
        """Let an agent hear when those elsewhere that read its inputs have done their part of its work."""
        for member in self._tree.members(node).values() if not node.kind else ():
            if member.is_elsewhere and not member.is_board and _reads_parent(member):
                self.hear_answers(node.path, member)

    def hear_parts(self, agent: AgentPath, node: AgentNode, port: str = "+") -> None:
        """Hear what an agent elsewhere streams: on all its ports, or on one."""
        if node.is_elsewhere:
            topic = topic_for(self._tree.matrix.root, Kind.PART, node.path, port)
            self.listen(TopicFilter.parse(topic), PartListener(self._engine.streams, agent), qos=0)

    def follow(self, agent: AgentPath, elsewhere: list[AgentPath], changed: Callable[[AgentPath, str, int], None]) -> None:
        """Let an agent know which of these are there: `changed` is called with a path, why it is gone (empty: it is back), and when."""
        from edgematrix.runtime.presence import Presence  # noqa: PLC0415

        self._called.pop(agent, None)
        presence = Presence(self._engine, agent, elsewhere, changed)
        self._parts.presences[agent] = presence
        for topic_filter in presence.filters():
            self.listen(topic_filter, presence, qos=1)

    def read(self, target: Target, listener: Listener, index: int, *, qos: int) -> None:
        """Let `listener` have what is on a port: in memory where the agent is here, from the bus where it is elsewhere."""
        topic_filter = TopicFilter.parse(topic_for(self._tree.matrix.root, target.kind, target.node.path, target.port))
        self.listen(topic_filter, listener, index, qos=qos if target.node.is_elsewhere else None)

    def listen(self, topic_filter: TopicFilter, listener: Listener, index: int = 0, *, qos: int | None = None) -> None:
        """Let `listener` have what matches; with `qos` it comes from the bus."""
        if qos is not None:
            self.subscribe(topic_filter, qos)
        self._site.listen(topic_filter, listener, index)

    def subscribe(self, topic_filter: TopicFilter, qos: int) -> None:
        """Let the broker be asked for what matches."""
        wanted = topic_filter.subscription
        self._parts.filters[wanted] = max(qos, self._parts.filters.get(wanted, 0))


def _reads_parent(node: AgentNode) -> bool:
    sources = (source for trigger in node.spec.triggers.values() for source in trigger.on.values())
    return any(source.from_ is not None and source.from_.partition(".")[0] == "parent" for source in sources)
