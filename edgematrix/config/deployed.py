"""Between a matrix and what is deployed of it: its definitions, and where each agent runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edgematrix.config.agent_tree import AgentTree
from edgematrix.config.exchange import dump, dump_agent, load
from edgematrix.config.places import Places
from edgematrix.config.spec import AgentSpec, MatrixSpec
from edgematrix.errors import CodecError, ConfigError, Issue
from edgematrix.hosting.leased import LeasedUnit
from edgematrix.hosting.manifest import Manifest, definition_hash, encode_definition, grown
from edgematrix.hosting.revision import Deployment
from edgematrix.protocol.path import AgentPath, is_below

__all__ = ["deployment_of", "leased_units", "places_of", "secrets_of", "spec_of"]

_NOT_DEPLOYED = frozenset({"access", "agents", "broker"})
"""What of a matrix is no part of a deployment: every host has its own address of a broker, and that broker knows who may do what.
A matrix that signs does not trust it: there hosts have to know that themselves."""


def deployment_of(spec: MatrixSpec, places: Mapping[AgentPath, tuple[str, ...]], revision: int, deployer: str) -> Deployment:
    """What is deployed of a matrix.

    Args:
        spec: the matrix.
        places: the hosts of each unit.
        revision: its number.
        deployer: an id of who deploys it.

    Raises:
        ConfigError: a payload, made in Python, has no JSON form.
    """
    definitions: dict[AgentPath, bytes] = {}
    _walk(AgentPath(spec.matrix), spec.agents, definitions)
    is_signed = spec.sign or any(node.spec.sign for node in AgentTree.of(spec))
    left_out = _NOT_DEPLOYED - {"access"} if is_signed else _NOT_DEPLOYED
    head = {key: value for key, value in dump(spec).items() if key not in left_out}
    paths = {path: definition_hash(data) for path, data in definitions.items()}
    return Deployment(Manifest(revision, head, paths, dict(places), deployer=deployer), definitions)


def _walk(path: AgentPath, agents: Mapping[str, AgentSpec], found: dict[AgentPath, bytes]) -> None:
    for name, agent in agents.items():
        below = AgentPath(f"{path}/{name}")
        found[below] = encode_definition(dump_agent(agent))
        _walk(below, agent.agents, found)


def spec_of(deployment: Deployment) -> MatrixSpec:
    """The matrix that was deployed.

    Raises:
        ConfigError: the definitions make none, for example as they are of a version that knows more.
    """
    try:
        return load(grown(deployment.manifest, deployment.definitions))
    except CodecError as error:
        raise ConfigError([Issue("error", error.what)]) from None


def places_of(manifest: Manifest, spec: MatrixSpec, here: str, holders: Mapping[AgentPath, str]) -> Places:
    """Where all agents run, as the host `here` is told.

    Args:
        manifest: what is deployed.
        spec: its matrix.
        here: this host.
        holders: who has those that may move, by the path of their unit; all others run on their first host. The empty text
            is nobody.
    """
    hosts: dict[AgentPath, str] = {}
    for node in AgentTree.of(spec):
        name = holders.get(node.path)
        if name is None:
            named = manifest.places.get(node.path)
            name = hosts.get(AgentPath(node.path.rpartition("/")[0]), "") if named is None else next(iter(named), "")
        if name:
            hosts[node.path] = name
    return Places(here, hosts)


def secrets_of(manifest: Manifest, spec: MatrixSpec, here: str) -> list[tuple[AgentPath, str]]:
    """The secrets that a host needs, each with the agent that names it: also of agents that it may get when another host is gone.

    Args:
        manifest: what is deployed.
        spec: its matrix.
        here: the host.
    """
    hosts: dict[str, tuple[str, ...]] = {}
    found: list[tuple[AgentPath, str]] = []
    for node in AgentTree.of(spec):
        named = hosts[node.path] = manifest.places.get(node.path, hosts.get(node.path.rpartition("/")[0], ()))
        if here in named:
            found += [(node.path, name) for name in node.spec.secrets]
    return found


def leased_units(manifest: Manifest, spec: MatrixSpec) -> list[LeasedUnit]:
    """The units that move to another host when theirs is gone.

    Args:
        manifest: what is deployed.
        spec: its matrix.
    """
    moving = {
        node.path: node.spec.failover for node in AgentTree.of(spec) if node.spec.failover is not None and manifest.places.get(node.path)
    }
    definitions = _definitions(manifest, moving) if moving else {}
    return [
        LeasedUnit(
            path,
            manifest.places[path],
            returns=failover.failback == "auto",
            definition=definitions[path],
            apart=frozenset(other for other in manifest.places if is_below(other, path)),
        )
        for path, failover in moving.items()
    ]


def _definitions(manifest: Manifest, moving: Iterable[AgentPath]) -> dict[AgentPath, str]:
    """A hash of all that is defined of each unit; of a replica those of the pool's one child."""
    owner: dict[str, str] = {}
    parts: dict[str, list[str]] = {}
    defined = {path: path if path in manifest.paths else AgentPath(path.rpartition("-")[0]) for path in moving}
    wanted = set(defined.values())
    for path, hashed in manifest.paths.items():
        above = owner.get(path.rpartition("/")[0], "")
        unit = owner[path] = path if path in wanted else "" if path in manifest.places else above
        if unit:
            parts.setdefault(unit, []).append(f"{path} {hashed}")
    return {path: definition_hash("\n".join(parts[base]).encode()) for path, base in defined.items()}
