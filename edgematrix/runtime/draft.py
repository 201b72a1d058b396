"""New agents of a running host, made before any of it counts: what cannot be built changes nothing."""

from __future__ import annotations

from typing import Protocol

from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.port_check import PortCheck
from edgematrix.runtime.call import Holder
from edgematrix.runtime.engine import Engine, Listener

__all__ = ["Draft", "Site"]


class Site(Protocol):
    """Where agents are put: an engine, or a draft of what is to be in one."""

    deliveries: dict[str, tuple[int, bool]]
    wires: set[tuple[AgentPath, AgentPath, str]]
    publishable: dict[AgentPath, tuple[str, ...]]
    inner: set[AgentPath]
    durable: set[AgentPath]
    holders: dict[AgentPath, list[Holder]]
    checks: dict[str, PortCheck]

    def listen(self, topic_filter: TopicFilter, listener: Listener, index: int = 0) -> None:
        """Let `listener` have what matches, as its input `index`."""

    def guard(self, topic: str, agent: AgentPath) -> None:
        """Let nobody but the agents of devices publish on a foreign topic."""


class Draft:
    """What new agents add to an engine."""

    def __init__(self) -> None:
        self.deliveries: dict[str, tuple[int, bool]] = {}
        self.wires: set[tuple[AgentPath, AgentPath, str]] = set()
        self.publishable: dict[AgentPath, tuple[str, ...]] = {}
        self.inner: set[AgentPath] = set()
        self.durable: set[AgentPath] = set()
        self.holders: dict[AgentPath, list[Holder]] = {}
        self.checks: dict[str, PortCheck] = {}
        self._listeners: list[tuple[TopicFilter, Listener, int]] = []
        self._guarded: list[tuple[str, AgentPath]] = []

    def listen(self, topic_filter: TopicFilter, listener: Listener, index: int = 0) -> None:
        """Let `listener` have what matches, as its input `index`."""
        self._listeners.append((topic_filter, listener, index))

    def guard(self, topic: str, agent: AgentPath) -> None:
        """Let nobody but the agents of devices publish on a foreign topic."""
        self._guarded.append((topic, agent))

    def place(self, engine: Engine) -> None:
        """Let it count."""
        engine.deliveries.update(self.deliveries)
        engine.checks.update(self.checks)
        engine.wires |= self.wires
        engine.publishable.update(self.publishable)
        engine.inner |= self.inner
        engine.durable |= self.durable
        for agent, holders in self.holders.items():
            engine.holders.setdefault(agent, []).extend(holders)
        for topic_filter, listener, index in self._listeners:
            engine.listen(topic_filter, listener, index)
        for topic, agent in self._guarded:
            engine.guard(topic, agent)
