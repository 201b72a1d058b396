"""From a definition that runs and an edit of it to what has to be put in place: checked as a file is, and built."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping

import msgspec

from edgematrix.access.trust import Trust
from edgematrix.composition.spec import EdgeSpec
from edgematrix.config import edit
from edgematrix.config.agent_tree import AgentTree
from edgematrix.config.build import Builder
from edgematrix.config.check import check_matrix
from edgematrix.config.code_loader import CodeLoader
from edgematrix.config.difference import Difference
from edgematrix.config.edges import edges_of
from edgematrix.config.exchange import dump_agent, write
from edgematrix.config.finding import Finding, issues_of
from edgematrix.config.inbound import inbound_filters
from edgematrix.config.live_record import hash_of, kept_form
from edgematrix.config.marks import marks_of
from edgematrix.config.places import EVERYTHING_HERE, Places
from edgematrix.config.spec import AgentSpec, MatrixSpec
from edgematrix.config.surroundings import Surroundings
from edgematrix.config.validation import validate
from edgematrix.errors import ConfigError
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.assembly import Assembly, Parts, Recomposed
from edgematrix.runtime.draft import Draft
from edgematrix.runtime.edges import Edges
from edgematrix.runtime.marks import Marks
from edgematrix.runtime.order import Connect, Create, Disconnect, Duplicate, Edit, Remove

__all__ = ["Plan", "plan", "replan"]


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
    places: Places
    edges: Edges
    marks: Marks
    inbound: list[str]
    """What is subscribed to for the inputs of the agents here."""
    deployed: int | None = None
    """The revision of the deployment that it comes with, if any."""
    is_replan: bool = False
    trust: Trust | None = None
    """Who is believed from then on, where messages are signed."""
    target: MatrixSpec | None = None
    """What is to run; forgotten with the end of the planning."""


def plan(
    old: MatrixSpec,
    path: AgentPath,
    asked: Edit,
    around: Surroundings,
    assembly: Assembly,
    *,
    base: str = "",
    manifest: Mapping[AgentPath, str],
    places: Places = EVERYTHING_HERE,
) -> Plan:
    """Edit, check and build; nothing that runs is touched.

    Args:
        old: what runs.
        base: the hash of what the host was started with; empty where that is `old`.
        manifest: the hashes of agents that are known.
        places: where agents run.

    Raises:
        EdgeMatrixError: the change is wrong; why, and what would be right.
    """
    new = _edited(old, path, asked)
    warnings = _checked(new, around.loader)
    found = _between(AgentTree.of(old, places), AgentTree.of(new, places), around, assembly)
    found.target = new
    found.told = f"{type(asked).__name__.lower()} {path}"
    found.packed = zlib.compress(kept_form(new), 1)
    found.base = base or hash_of(kept_form(old))
    found.specs, found.manifest = _manifested(old, new, manifest)
    touched = {node.where for node in (*found.difference.built, *found.difference.recomposed)}
    found.warnings += [wrong.what for wrong in warnings if any(wrong.path[: len(place)] == place for place in touched)]
    return found


def replan(
    old: MatrixSpec, new: MatrixSpec | None, around: Surroundings, assembly: Assembly, before: Places, places: Places, revision: int | None
) -> Plan:
    """Plan the way to other places, and to another definition; nothing that runs is touched.

    Args:
        old: what runs.
        new: what is to run; None for the same.
        before: where agents run, as this host was told.
        places: where they are to run.
        revision: the number of what was deployed; None where only places change.

    Raises:
        EdgeMatrixError: the change is wrong, or cannot be built here; why.
    """
    if new is not None:
        _checked(new, None)  # code of agents that run elsewhere need not be here; what runs here is loaded to be built
    target = new or old
    found = _between(AgentTree.of(old, before), AgentTree.of(target, places), around, assembly)
    found.packed = b"" if new is None else zlib.compress(write(new), 1)
    found.deployed, found.is_replan = revision, True
    return found


def _checked(spec: MatrixSpec, loader: CodeLoader | None) -> list[Finding]:
    findings = check_matrix(spec, loader)
    errors = [found for found in findings if found.severity == "error"]
    if errors:
        raise ConfigError(issues_of(errors, None))
    return findings


def _between(old: AgentTree, new: AgentTree, around: Surroundings, assembly: Assembly) -> Plan:
    """What has to be built, and is, to get from one tree to another."""
    difference = Difference.between(old, new)
    draft = Draft()
    builder = Builder(new, around, assembly, draft)
    builder.build(difference.built)
    recomposed = [builder.recompose(node, assembly.bodies[node.path]) for node in difference.recomposed]
    for node in difference.attending:
        builder.attend(node)
    warnings: list[str] = []
    if builder.is_durable and not assembly.session_durable:
        warnings.append("the broker keeps nothing for this host while it is away, until the host is started anew")
    return Plan(
        told="",
        packed=b"",
        base="",
        difference=difference,
        draft=draft,
        parts=builder.parts,
        recomposed=recomposed,
        agents=tuple(node.path for node in new if not node.is_elsewhere),
        elsewhere=frozenset(node.path for node in new if node.is_elsewhere),
        specs={},
        manifest={},
        warnings=warnings,
        places=new.places,
        edges=edges_of(new),
        marks=marks_of(new),
        inbound=inbound_filters(new),
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
        _refuse_secrets(asked.spec)
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


def _refuse_secrets(definition: object) -> None:
    from edgematrix.config.check_secrets import misplaced  # noqa: PLC0415 - few changes create an agent

    wrong = misplaced(definition)
    if wrong:
        raise ConfigError(issues_of(wrong, None))


def _walk(path: AgentPath, agents: dict[str, AgentSpec]) -> Iterator[tuple[AgentPath, AgentSpec]]:
    for name, agent in agents.items():
        below = AgentPath(f"{path}/{name}")
        yield below, agent
        yield from _walk(below, agent.agents)
