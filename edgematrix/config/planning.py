"""From a definition that runs and an edit of it to what has to be put in place: checked as a file is, and built."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping

import msgspec

from edgematrix.composition.spec import EdgeSpec
from edgematrix.config import edit
from edgematrix.config.agent_tree import AgentTree
from edgematrix.config.build import Builder, Surroundings
from edgematrix.config.check import check_matrix
from edgematrix.config.difference import Difference
from edgematrix.config.exchange import dump_agent, write
from edgematrix.config.finding import issues_of
from edgematrix.config.live_record import hash_of
from edgematrix.config.spec import AgentSpec, MatrixSpec
from edgematrix.config.validation import validate
from edgematrix.errors import ConfigError
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.assembly import Assembly, Parts, Recomposed
from edgematrix.runtime.draft import Draft
from edgematrix.runtime.order import Connect, Create, Disconnect, Duplicate, Edit, Remove

__all__ = ["Plan", "plan"]


class Plan(msgspec.Struct):
    """A change that is checked and built, and not yet in place.

    `told` is it in words, `packed` the new definition, `base` the hash of the one that the host was started with. `specs` are the
    definitions of agents that differ, None for those that are gone; `manifest` has the hash of each.
    """

    told: str
    packed: bytes
    base: str
    difference: Difference
    draft: Draft
    parts: Parts
    recomposed: list[Recomposed]
    agents: tuple[AgentPath, ...]
    elsewhere: frozenset[AgentPath]
    specs: dict[AgentPath, object]
    manifest: dict[AgentPath, str]
    warnings: list[str]


def plan(
    old: MatrixSpec,
    path: AgentPath,
    asked: Edit,
    around: Surroundings,
    assembly: Assembly,
    *,
    base: str = "",
    manifest: Mapping[AgentPath, str],
) -> Plan:
    """Edit, check and build; nothing that runs is touched.

    Args:
        old: what runs.
        base: the hash of what the host was started with; empty where that is `old`.
        manifest: the hashes of agents that are known.

    Raises:
        EdgeMatrixError: the change is wrong; why, and what would be right.
    """
    new = _edited(old, path, asked)
    findings = check_matrix(new, around.loader)
    errors = [found for found in findings if found.severity == "error"]
    if errors:
        raise ConfigError(issues_of(errors, None))
    tree = AgentTree.of(new)
    difference = Difference.between(AgentTree.of(old), tree)
    draft = Draft()
    builder = Builder(tree, around, assembly, draft)
    builder.build(difference.built)
    recomposed = [builder.recompose(node, assembly.bodies[node.path]) for node in difference.recomposed]
    for node in difference.attending:
        builder.attend(node)
    specs, hashes = _manifested(old, new, manifest)
    places = {node.where for node in (*difference.built, *difference.recomposed)}
    warnings = [found.what for found in findings if any(found.path[: len(place)] == place for place in places)]
    if builder.is_durable and not assembly.session_durable:
        warnings.append("the broker keeps nothing for this host while it is away, until the host is started anew")
    return Plan(
        told=f"{type(asked).__name__.lower()} {path}",
        packed=zlib.compress(write(new), 1),
        base=base or hash_of(write(old)),
        difference=difference,
        draft=draft,
        parts=builder.parts,
        recomposed=recomposed,
        agents=tuple(node.path for node in tree if not node.is_elsewhere),
        elsewhere=frozenset(node.path for node in tree if node.is_elsewhere),
        specs=specs,
        manifest=hashes,
        warnings=warnings,
    )


def _manifested(old: MatrixSpec, new: MatrixSpec, hashes: Mapping[AgentPath, str]) -> tuple[dict[AgentPath, object], dict[AgentPath, str]]:
    """The definitions that differ, None for those that are gone, and the hashes of all."""
    before = dict(_walk(AgentPath(old.matrix), old.agents))
    specs: dict[AgentPath, object] = {}
    manifest: dict[AgentPath, str] = {}
    for path, agent in _walk(AgentPath(new.matrix), new.agents):
        known = hashes.get(path)
        if known is not None and before.get(path) is agent:
            manifest[path] = known
            continue
        plain = dump_agent(agent)
        manifest[path] = hash_of(msgspec.json.encode(plain))
        former = before.get(path)
        if former is None or (former is not agent and dump_agent(former) != plain):
            specs[path] = plain
    specs.update((path, None) for path in before.keys() - manifest.keys())
    return specs, manifest


def _edited(spec: MatrixSpec, path: AgentPath, asked: Edit) -> MatrixSpec:
    if isinstance(asked, Create):
        return edit.create(spec, path, validate(AgentSpec, asked.spec))
    if isinstance(asked, Remove):
        return edit.remove(spec, path)
    if isinstance(asked, Duplicate):
        return edit.duplicate(spec, path, asked.to)
    if isinstance(asked, Connect):
        validate(EdgeSpec, {"stations": [[asked.start], [asked.end]], "when": asked.when, "loop": asked.loop})
        return edit.connect(spec, path, asked.start, asked.end, asked.when, loop=asked.loop)
    assert isinstance(asked, Disconnect)  # noqa: S101 - the last there is
    return edit.disconnect(spec, path, asked.start, asked.end)


def _walk(path: AgentPath, agents: dict[str, AgentSpec]) -> Iterator[tuple[AgentPath, AgentSpec]]:
    for name, agent in agents.items():
        below = AgentPath(f"{path}/{name}")
        yield below, agent
        yield from _walk(below, agent.agents)
