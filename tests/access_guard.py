"""The access list of a matrix, in the hands of a test: whatever a host publishes or asks for beyond it is noted, with who and what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from edgematrix.access.grant import Access, Grants
from edgematrix.access.spec import AccessSpec, HostAccess
from edgematrix.config.authority import principals_of
from edgematrix.config.spec import AgentSpec, MatrixSpec
from edgematrix.hosting.leased import unit_of
from edgematrix.hosting.spec import FailoverSpec
from edgematrix.protocol.message import Publication
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.ports import Transport

T = TypeVar("T", bound=Transport)

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

    def watch(self, name: str, transport: T) -> T:
        """A transport whose owner is `name`: whatever it publishes and asks for is looked at."""
        publish, subscribe = transport.publish, transport.subscribe

        def published(publication: Publication) -> None:
            self.publishes(name, publication.topic)
            publish(publication)

        def subscribed(filters: Mapping[str, int]) -> None:
            self.subscribes_all(name, filters)
            subscribe(filters)

        transport.publish, transport.subscribe = published, subscribed  # type: ignore[method-assign]
        return transport

    def _ask(self, name: str, access: Access, topic: str) -> str:
        if self.grants[name].allows(access, topic):
            return ""
        self.denied.append(f"{name} may not {access} {topic}")
        return "not authorized"


def placed(
    spec: MatrixSpec,
    hosts: Mapping[str, str],
    *,
    candidates: Mapping[str, Sequence[str]] | None = None,
    foreign: Iterable[str] = FOREIGN,
) -> MatrixSpec:
    """The matrix with the host of each agent written into it, by the paths in `hosts`; code that names no topics may publish on `foreign`.

    Replicas of a pool that are on several hosts may be on each of these. What `candidates` names moves between these hosts, with what is
    in it and is not in `candidates` itself.
    """
    moving = candidates or {}
    units = [AgentPath(path) for path in moving]

    def where(paths: Sequence[str]) -> dict[str, Any]:
        if paths[0] in moving:
            return {"failover": FailoverSpec(hosts=list(moving[paths[0]]))}
        if unit_of(paths[0], units, ()) is not None:
            return {}
        found = list(dict.fromkeys(host for path in paths if (host := hosts.get(path))))
        return {"host": found[0]} if len(found) == 1 else {"failover": FailoverSpec(hosts=found)} if found else {}

    def walk(paths: list[str], agents: Mapping[str, AgentSpec], replicas: int) -> dict[str, AgentSpec]:
        found: dict[str, AgentSpec] = {}
        for name, agent in agents.items():
            names = [f"{name}-{number}" for number in range(1, replicas + 1)] if replicas else [name]
            below = [f"{path}/{one}" for path in paths for one in names]
            more = where(below)
            if agent.python is not None and not agent.publishes:
                more["publishes"] = list(foreign)
            found[name] = replace(agent, agents=walk(below, agent.agents, agent.pool.replicas if agent.pool else 0), **more)
        return found

    return replace(spec, agents=walk([spec.matrix], spec.agents, 0))
