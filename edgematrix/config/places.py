"""Which host runs which agent, as this host sees it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from edgematrix.protocol.path import AgentPath

__all__ = ["EVERYTHING_HERE", "Places"]


class Places(msgspec.Struct, frozen=True):
    """Where the agents of a matrix run.

    `here` is this host's name; the empty text where the matrix was given to no hosts, so that all that can run runs here.
    `hosts` has the name of the host that each agent runs on; an agent that is not in it runs nowhere yet.
    """

    here: str = ""
    hosts: Mapping[AgentPath, str] = {}

    def runs_here(self, path: AgentPath) -> bool:
        """Whether this host runs an agent, provided that it is one that a host can run."""
        return not self.here or self.hosts.get(path) == self.here


EVERYTHING_HERE = Places()
"""One host runs all that it can."""
