"""Whether agents elsewhere are there, as their states and their hosts say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.message import Message
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.runtime.engine import Engine, Hits

__all__ = ["Presence"]

_GONE = frozenset({"offline", "failed"})
_HOSTS_MAX = 1_000
"""Hosts that are known to be offline; beyond it the one that went first is forgotten."""

Changed: TypeAlias = Callable[[AgentPath, str, int], None]
"""Called with the path of an agent, why it is gone (empty: it is back), and the moment."""


class Presence:
    """Follows the states of some agents that run elsewhere: whoever waits for one that is gone is told.

    One that failed, but tries anew with each request, such as a model, is there: it answers for itself.

    Where both are durable, work for one whose host is offline waits until it is back.

    Args:
        agent: who waits for them.
    """

    def __init__(self, engine: Engine, agent: AgentPath, agents: Iterable[AgentPath], changed: Changed) -> None:
        self._engine = engine
        self.agent = agent
        self._changed = changed
        self._hosts: dict[AgentPath, tuple[str, object]] = {}
        """The host of each, and the session of that host in which its state was told."""
        self._offline: dict[str, object] = {}
        """The sessions of hosts that are offline, by name."""
        self._gone: dict[AgentPath, str] = {}
        self._heads = (f"{engine.root}/{Kind.STATE}/", f"{engine.root}/{Kind.HOST}/")
        self._agents = frozenset(agents)

    def take_over(self, older: Presence, now_us: int) -> None:
        """Begin with what an earlier one of the same agent knows: states are told once."""
        self._offline.update(older._offline)
        self._hosts.update((agent, host) for agent, host in older._hosts.items() if agent in self._agents)
        for agent in sorted(older._gone.keys() & self._agents):
            self._gone[agent] = older._gone[agent]
            self._changed(agent, self._gone[agent], now_us)

    def filters(self) -> list[TopicFilter]:
        """What it listens to."""
        root = self._engine.root
        found = [topic_for(root, Kind.STATE, agent) for agent in sorted(self._agents)]
        return [TopicFilter.parse(topic) for topic in (*found, f"{root}/{Kind.HOST}/+")]

    def receive(self, message: Message, hits: Hits, now_us: int) -> None:  # noqa: ARG002 - the topic tells what it is
        """Take a state of an agent, or of a host."""
        about = message.value if isinstance(message.value, Mapping) else {}
        state_head, host_head = self._heads
        if message.topic.startswith(host_head):
            self._host(message.topic.removeprefix(host_head), about, now_us)
        else:
            self._agent(AgentPath(message.topic.removeprefix(state_head)), about, message.retained, now_us)

    def _host(self, host: str, about: Mapping[str, object], now_us: int) -> None:
        self._offline.pop(host, None)
        if about.get("status") != "offline":
            return
        session = self._offline[host] = about.get("session")
        if len(self._offline) > _HOSTS_MAX:
            del self._offline[next(iter(self._offline))]
        for agent in [agent for agent, at in self._hosts.items() if at == (host, session)]:
            self._lose(agent, f"its host {host} is offline", now_us)

    def _agent(self, agent: AgentPath, about: Mapping[str, object], retained: bool, now_us: int) -> None:
        status, host, session = about.get("status"), about.get("host"), about.get("session")
        if not about:
            self._lose(agent, "it was taken out", now_us, for_ever=True)
            return
        if isinstance(host, str):
            self._settles(agent, (host, session), retained, now_us)
        if status in _GONE and not (status == "failed" and about.get("tries") is True):
            self._lose(agent, f"it is {status}", now_us, for_ever=status == "failed")
        elif retained and isinstance(host, str) and self._offline.get(host, _UNKNOWN) == session:
            self._lose(agent, f"its host {host} is offline", now_us)  # its state stayed behind when the host went
        elif self._gone.pop(agent, None) is not None:
            self._changed(agent, "", now_us)

    def _settles(self, agent: AgentPath, at: tuple[str, object], retained: bool, now_us: int) -> None:
        """Note where an agent is. What it was called for somewhere else is lost; for one that is new it has not reached it."""
        calling = self._engine.calling
        before = self._hosts.get(agent)
        self._hosts[agent] = at
        known = calling.seen.get(agent)
        calling.seen[agent] = at
        if before is not None and before != at:
            self._engine.calls.lost(agent, f"its host {at[0]} began anew" if before[0] == at[0] else f"it moved to {at[0]}", now_us)
        elif known is None and not retained:
            calling.born(agent, now_us)

    def _lose(self, agent: AgentPath, reason: str, now_us: int, *, for_ever: bool = False) -> None:
        if not for_ever and self._engine.calling.waits(self.agent, agent):
            return
        if agent not in self._gone:
            self._gone[agent] = reason
            self._changed(agent, reason, now_us)
        self._engine.calls.lost(agent, reason, now_us, for_ever=for_ever)


_UNKNOWN = object()
