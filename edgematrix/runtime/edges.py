"""Which of what leaves a host is acknowledged from end to end, and by whom."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from edgematrix.protocol.path import AgentPath

__all__ = ["NO_EDGES", "Edges"]


class Edges(msgspec.Struct, frozen=True):
    """What the agents elsewhere acknowledge.

    `acking` are the agents elsewhere that acknowledge work on their inputs: all that hosts run, and boards that say
    `delivery: durable`. Work of durable agents for `lasting`, those of them that are no devices, does not expire.
    `readers` has the durable agents elsewhere that read an output, by its topic; `hearers` those that hear all outputs of an
    agent, as a composite does its members'.
    """

    acking: frozenset[AgentPath] = frozenset()
    lasting: frozenset[AgentPath] = frozenset()
    readers: Mapping[str, frozenset[AgentPath]] = {}
    hearers: Mapping[AgentPath, frozenset[AgentPath]] = {}

    def readers_of(self, topic: str, agent: AgentPath) -> frozenset[AgentPath]:
        """Who acknowledges what `agent` puts out on `topic`; nobody, where it is for observers alone."""
        return self.readers.get(topic, _NOBODY) | self.hearers.get(agent, _NOBODY)


_NOBODY: frozenset[AgentPath] = frozenset()
NO_EDGES = Edges()
"""Of a host that runs all there is."""
