"""Which of what leaves a host somebody elsewhere reads, and which is acknowledged from end to end, and by whom."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from edgematrix.protocol.path import AgentPath

__all__ = ["NO_EDGES", "Edges"]


class Edges(msgspec.Struct, frozen=True):
    """What the agents elsewhere read, and what of it they acknowledge.

    `acking` are the agents elsewhere that acknowledge work on their inputs: all that hosts run, and boards that say
    `delivery: durable`. Work of durable agents for `lasting`, those of them that are no devices, does not expire.
    `readers` has the durable agents elsewhere that read an output, by its topic; `hearers` those that hear all outputs of an
    agent, as a composite does its members'.

    `boards` are the agents elsewhere that speak for themselves: nobody tells that work of theirs has ended. Work for `patient`,
    the durable ones that hosts run, waits while these are not there; of a pool another replica gets it. `steady` are all durable
    ones that hosts run: what they are called for is there still when whoever called has been down. `outputs` are the topics
    of outputs here that somebody elsewhere reads, `inputs` those of inputs, each with whoever reads it.
    """

    acking: frozenset[AgentPath] = frozenset()
    lasting: frozenset[AgentPath] = frozenset()
    readers: Mapping[str, frozenset[AgentPath]] = {}
    hearers: Mapping[AgentPath, frozenset[AgentPath]] = {}
    boards: frozenset[AgentPath] = frozenset()
    patient: frozenset[AgentPath] = frozenset()
    steady: frozenset[AgentPath] = frozenset()
    outputs: frozenset[str] = frozenset()
    inputs: Mapping[str, frozenset[AgentPath]] = {}

    def readers_of(self, topic: str, agent: AgentPath) -> frozenset[AgentPath]:
        """Who acknowledges what `agent` puts out on `topic`; nobody, where it is for observers alone."""
        return self.readers.get(topic, _NOBODY) | self.hearers.get(agent, _NOBODY)


_NOBODY: frozenset[AgentPath] = frozenset()
NO_EDGES = Edges()
"""Of a host that runs all there is."""
