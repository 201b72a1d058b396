"""The access list of a matrix, in the hands of a test: whatever a host publishes or asks for beyond it is noted, with who and what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from edgematrix.access.grant import Access, Grants
from edgematrix.access.spec import AccessSpec, HostAccess
from edgematrix.config.authority import principals_of
from edgematrix.config.spec import AgentSpec, MatrixSpec
from edgematrix.hosting.spec import FailoverSpec

FOREIGN = ("t/#", "test/#")
"""What agents with code publish on in tests that say nothing of it."""


class Guard:
    """Who may do what, and what was tried all the same.

    Args:
        spec: the matrix.
        hosts: names of hosts that are there too, besides those that the matrix names.
    """

    def __init__(self, spec: MatrixSpec, hosts: Iterable[str] = ()) -> None:
        known = spec.access or AccessSpec()
        more = {name: HostAccess() for name in hosts if name not in known.hosts}
        spec = replace(spec, access=replace(known, hosts={**more, **known.hosts}))
        self.grants: dict[str, Grants] = {one.name: one.grants for one in principals_of(spec)}
        self.denied: list[str] = []

    def publishes(self, name: str, topic: str) -> str:
        """The reason why `name` may not publish there; empty if it may."""
        return self._ask(name, Access.WRITE, topic)

    def subscribes(self, name: str, topic_filter: str) -> str:
        """The reason why `name` may not ask for that; empty if it may."""
        return self._ask(name, Access.READ, topic_filter)

    def subscribes_all(self, name: str, filters: Iterable[str]) -> None:
        for topic_filter in filters:
            self.subscribes(name, topic_filter)

    def _ask(self, name: str, access: Access, topic: str) -> str:
        if self.grants[name].allows(access, topic):
            return ""
        self.denied.append(f"{name} may not {access} {topic}")
        return "not authorized"


def placed(spec: MatrixSpec, hosts: Mapping[str, str], foreign: Iterable[str] = FOREIGN) -> MatrixSpec:
    """The matrix with the host of each agent written into it, by the paths in `hosts`; code that names no topics may publish on `foreign`.

    Replicas of a pool that are on several hosts may be on each of these.
    """

    def walk(paths: list[str], agents: Mapping[str, AgentSpec], replicas: int) -> dict[str, AgentSpec]:
        found: dict[str, AgentSpec] = {}
        for name, agent in agents.items():
            names = [f"{name}-{number}" for number in range(1, replicas + 1)] if replicas else [name]
            below = [f"{path}/{one}" for path in paths for one in names]
            where = list(dict.fromkeys(host for path in below if (host := hosts.get(path))))
            more: dict[str, Any] = {"host": where[0]} if len(where) == 1 else {"failover": FailoverSpec(hosts=where)} if where else {}
            if agent.python is not None and not agent.publishes:
                more["publishes"] = list(foreign)
            found[name] = replace(agent, agents=walk(below, agent.agents, agent.pool.replicas if agent.pool else 0), **more)
        return found

    return replace(spec, agents=walk([spec.matrix], spec.agents, 0))
