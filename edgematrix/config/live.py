"""The definition of a running matrix: edited, checked as a file is, built, put in place, and kept for the next start."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterator
from typing import cast

import msgspec

from edgematrix.composition.spec import EdgeSpec
from edgematrix.config import edit
from edgematrix.config.agent_tree import AgentTree
from edgematrix.config.build import Builder, Surroundings
from edgematrix.config.check import check_matrix
from edgematrix.config.difference import Difference
from edgematrix.config.exchange import dump_agent, read, write
from edgematrix.config.finding import issues_of
from edgematrix.config.live_record import LiveRecord
from edgematrix.config.spec import AgentSpec, MatrixSpec
from edgematrix.config.validation import validate
from edgematrix.errors import ConfigError
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.runtime.answer import AnswerListener
from edgematrix.runtime.assembly import Assembly, Parts, Recomposed
from edgematrix.runtime.draft import Draft
from edgematrix.runtime.order import Connect, Create, Disconnect, Duplicate, Edit, Remove
from edgematrix.runtime.outbound import Outbound
from edgematrix.runtime.presence import Presence
from edgematrix.runtime.removal import Removal
from edgematrix.runtime.streams import PartListener
from edgematrix.runtime.topology import Applied, Prepared

__all__ = ["LiveTopology"]

_ATTENDING = (AnswerListener, PartListener, Presence)
"""With which composites hear their members elsewhere."""
_CHANGES_KEPT = 100
"""Changes that are told by name should they be dropped at a start."""


class Plan(msgspec.Struct):
    """A change that is checked and built, and not yet in place."""

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


class LiveTopology:
    """What an assembly was built from, and every change of it. A keeper of the engine: changes outlive a restart.

    Args:
        again: the definition that the assembly was built from, read anew: a host holds none, for its agents take the room.
        record: what was kept of earlier changes. Where it has no definition, its changes are of no use any more.
    """

    def __init__(self, assembly: Assembly, around: Surroundings, again: Callable[[], MatrixSpec], record: LiveRecord | None = None) -> None:
        self.assembly = assembly
        self._around = around
        self._again = again
        self._record = record or LiveRecord()
        self._manifest: dict[AgentPath, str] = {}
        engine = assembly.engine
        known = {engine.matrix, *assembly.agents}
        engine.pauses.parts.update(path for path in map(AgentPath, self._record.paused) if path in known)
        if record is not None and not record.base:
            self._clear(record)

    @property
    def revision(self) -> int:
        """How often the definition was changed, over all starts."""
        return self._record.revision

    @property
    def store_key(self) -> str:
        """Under which it is stored."""
        return LiveRecord.STORE_KEY

    def save(self) -> dict[str, bytes | None]:
        """The changes that are in force, and what is paused."""
        record = self._record
        paused = sorted(self.assembly.engine.pauses.parts)
        return {"": msgspec.structs.replace(record, paused=paused).written() if record.spec or paused else None}

    def remember(self) -> None:
        """Work out what the definition was at the start, so that whatever is kept belongs to it. It may take long.

        Raises:
            ConfigError: the definition has no JSON form.
        """
        if not self._record.base:
            self._record = msgspec.structs.replace(self._record, base=LiveRecord.hash_of(write(self._again())))

    def note(self) -> None:
        """What is paused has changed: keep it."""
        self.assembly.engine.touched.append(self)

    def prepare(self, path: AgentPath, edit: Edit) -> Prepared:
        """Edit, check and build. Nothing that runs is touched, so it may be done beside the event loop.

        Raises:
            EdgeMatrixError: the change is wrong; why, and what would be right.
        """
        old = read(zlib.decompress(self._record.spec)) if self._record.spec else self._again()
        base = self._record.base or LiveRecord.hash_of(write(old))
        new = _edited(old, path, edit)
        findings = check_matrix(new, self._around.loader)
        errors = [found for found in findings if found.severity == "error"]
        if errors:
            raise ConfigError(issues_of(errors, None))
        packed = zlib.compress(write(new), 1)
        tree = AgentTree.of(new)
        difference = Difference.between(AgentTree.of(old), tree)
        draft = Draft()
        builder = Builder(tree, self._around, self.assembly, draft)
        builder.build(difference.built)
        recomposed = [builder.recompose(node, self.assembly.bodies[node.path]) for node in difference.recomposed]
        for node in difference.attending:
            builder.attend(node)
        specs, manifest = self._manifested(old, new)
        places = {node.where for node in difference.built} | {node.where for node in difference.recomposed}
        warnings = [f"{found.what}" for found in findings if any(found.path[: len(place)] == place for place in places)]
        return Plan(
            told=f"{type(edit).__name__.lower()} {path}",
            packed=packed,
            base=base,
            difference=difference,
            draft=draft,
            parts=builder.parts,
            recomposed=recomposed,
            agents=tuple(node.path for node in tree if not node.is_elsewhere),
            elsewhere=frozenset(node.path for node in tree if node.is_elsewhere),
            specs=specs,
            manifest=manifest,
            warnings=warnings,
        )

    def apply(self, prepared: Prepared, now_us: int) -> Applied:
        """Put a change in place, on the event loop."""
        plan = cast(Plan, prepared)
        assembly, engine = self.assembly, self.assembly.engine
        before, filters = frozenset(assembly.agents), dict(assembly.filters)
        gone = plan.difference.gone
        engine.elsewhere = plan.elsewhere
        forgotten = [runner.store_key for runner in assembly.groups if runner.agent in gone]
        removal = Removal(engine, gone)
        left = removal.subscriptions | self._detach({node.path for node in (*plan.difference.recomposed, *plan.difference.attending)})
        self._leave_out(gone)
        plan.draft.place(engine)
        assembly.agents = plan.agents
        former = {found.path: presence for found in plan.recomposed if (presence := assembly.presences.pop(found.path, None)) is not None}
        assembly.adopt(plan.parts)
        self._recompose(plan, former, now_us)
        unsubscribe = [topic for topic in sorted(left) if topic in assembly.filters and not engine.subscribed(topic)]
        for topic in unsubscribe:
            del assembly.filters[topic]
        self._begin(plan.parts, now_us)
        removal.finish(now_us)
        if assembly.questions is not None:
            for path in gone - plan.parts.notify.keys():
                assembly.questions.notify.pop(path, None)
        self._keep(plan)
        return Applied(
            self.revision,
            assembly.agents,
            engine.elsewhere,
            added=[node.path for node in plan.difference.built if not node.is_elsewhere],
            removed=sorted(before - frozenset(assembly.agents)),
            changed=[node.path for node in plan.difference.recomposed],
            subscribe={topic: qos for topic, qos in assembly.filters.items() if qos > filters.get(topic, -1)},
            unsubscribe=unsubscribe,
            forgotten=forgotten,
            specs=plan.specs,
            manifest=plan.manifest,
            warnings=plan.warnings,
        )

    # Inside

    def _detach(self, paths: Collection[AgentPath]) -> set[str]:
        """Let these hear others elsewhere no longer in the old way; what was subscribed to for it."""
        if not paths:
            return set()
        found = self.assembly.engine.unlisten(lambda listener: isinstance(listener, _ATTENDING) and listener.agent in paths)
        return {subscription for subscription, _ in found}

    def _leave_out(self, gone: frozenset[AgentPath]) -> None:
        assembly = self.assembly
        if not gone:
            return
        assembly.groups[:] = [runner for runner in assembly.groups if runner.agent not in gone]
        for path in gone:
            assembly.bodies.pop(path, None)
            assembly.presences.pop(path, None)

    def _recompose(self, plan: Plan, former: dict[AgentPath, Presence], now_us: int) -> None:
        """Let composites follow their new plans, knowing what they knew of members elsewhere."""
        for found in plan.recomposed:
            self.assembly.bodies[found.path].change(found.composition, found.members)
            older, newer = former.get(found.path), plan.parts.presences.get(found.path)
            if older is not None and newer is not None:
                newer.take_over(older, now_us)

    def _begin(self, parts: Parts, now_us: int) -> None:
        """Start what is new."""
        for runner in parts.groups:
            runner.start(now_us)
        for opening in parts.openings:
            opening(now_us)
        self.assembly.openings.clear()

    def _keep(self, plan: Plan) -> None:
        """Take note of what the definition is now, and let it be stored."""
        engine, record = self.assembly.engine, self._record
        known = {engine.matrix, *plan.agents}
        engine.pauses.parts.intersection_update(known)
        published = (set(record.published) | {path for path, value in plan.specs.items() if value is not None}) & plan.manifest.keys()
        self._manifest = plan.manifest
        self._record = LiveRecord(
            base=plan.base,
            revision=record.revision + 1,
            spec=plan.packed,
            changes=[*record.changes, plan.told][-_CHANGES_KEPT:],
            published=sorted(published),
        )
        engine.touched.append(self)

    def _manifested(self, old: MatrixSpec, new: MatrixSpec) -> tuple[dict[AgentPath, object], dict[AgentPath, str]]:
        """The definitions that differ, None for those that are gone, and the hashes of all."""
        before = dict(_walk(AgentPath(old.matrix), old.agents))
        specs: dict[AgentPath, object] = {}
        manifest: dict[AgentPath, str] = {}
        for path, agent in _walk(AgentPath(new.matrix), new.agents):
            known = self._manifest.get(path)
            if known is not None and before.get(path) is agent:
                manifest[path] = known
                continue
            plain = dump_agent(agent)
            manifest[path] = LiveRecord.hash_of(msgspec.json.encode(plain))
            former = before.get(path)
            if former is None or (former is not agent and dump_agent(former) != plain):
                specs[path] = plain
        specs.update((path, None) for path in before.keys() - manifest.keys())
        return specs, manifest

    def _clear(self, record: LiveRecord) -> None:
        """Take back what was published of changes that are of no use any more: the file has the last word."""
        engine, now_us = self.assembly.engine, self._around.clock.now_us()
        for path in (*record.published, engine.matrix):
            engine.outbox.append(Outbound(topic_for(engine.root, Kind.SPEC, path), b"", engine.matrix, now_us, 1, retain=True))
        self._record = LiveRecord(revision=record.revision + 1)
        engine.touched.append(self)


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
