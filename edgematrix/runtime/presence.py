"""Whether agents elsewhere are there, as their states and their hosts say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.message import Message
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.runtime.engine import Engine, Hits

__all__ = ["Presence"]

_GONE = frozenset({"offline", "failed"})


class Presence:
    """Follows the states of some agents that run elsewhere: whoever waits for one that is gone is told.

    Args:
        agent: who waits for them.
        changed: called with the path of an agent, whether it is there, and the moment.
    """

    def __init__(
        self, engine: Engine, agent: AgentPath, agents: Iterable[AgentPath], changed: Callable[[AgentPath, bool, int], None]
    ) -> None:
        self._engine = engine
        self.agent = agent
        self._changed = changed
        self._hosts: dict[AgentPath, str] = {}
        self._gone: set[AgentPath] = set()
        self._heads = (f"{engine.root}/{Kind.STATE}/", f"{engine.root}/{Kind.HOST}/")
        self._agents = frozenset(agents)

    def take_over(self, older: Presence, now_us: int) -> None:
        """Begin with what an earlier one of the same agent knows: states are told once."""
        self._hosts.update((agent, host) for agent, host in older._hosts.items() if agent in self._agents)
        for agent in sorted(older._gone & self._agents):
            self._gone.add(agent)
            self._changed(agent, False, now_us)

    def filters(self) -> list[TopicFilter]:
        """What it listens to."""
        root = self._engine.root
        found = [topic_for(root, Kind.STATE, agent) for agent in sorted(self._agents)]
        return [TopicFilter.parse(topic) for topic in (*found, f"{root}/{Kind.HOST}/+")]

    def receive(self, message: Message, hits: Hits, now_us: int) -> None:  # noqa: ARG002 - the topic tells what it is
        """Take a state."""
        about = message.value if isinstance(message.value, Mapping) else {}
        status = about.get("status")
        state_head, host_head = self._heads
        if message.topic.startswith(host_head):
            host = message.topic.removeprefix(host_head)
            if status == "offline":
                for agent in [agent for agent, at in self._hosts.items() if at == host]:
                    self._lose(agent, f"its host {host} is offline", now_us)
            return
        agent = AgentPath(message.topic.removeprefix(state_head))
        at = about.get("host")
        if isinstance(at, str):
            self._hosts[agent] = at
        if status in _GONE:
            self._lose(agent, f"it is {status}", now_us)
        elif agent in self._gone:
            self._gone.discard(agent)
            self._changed(agent, True, now_us)

    def _lose(self, agent: AgentPath, reason: str, now_us: int) -> None:
        if agent not in self._gone:
            self._gone.add(agent)
            self._changed(agent, False, now_us)
        self._engine.calls.lost(agent, reason, now_us)
