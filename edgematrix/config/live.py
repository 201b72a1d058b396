"""The definition of a running matrix, and every change of it, kept for the next start."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import msgspec

from edgematrix.config.live_record import LiveRecord, Restored, unpacked
from edgematrix.config.unsigned import refuse_signed
from edgematrix.errors import UsageError
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.runtime.assembly import Assembly
from edgematrix.runtime.outbound import Outbound
from edgematrix.runtime.topology import Applied, Prepared

if TYPE_CHECKING:
    from edgematrix.access.trust import Trust
    from edgematrix.config.places import Places
    from edgematrix.config.planning import Plan
    from edgematrix.config.spec import MatrixSpec
    from edgematrix.config.surroundings import Surroundings
    from edgematrix.runtime.order import Edit

__all__ = ["LiveTopology"]

_DEPLOYED = "the matrix is deployed on hosts, so its file says what it is"
_CHANGES_KEPT = 100
"""Changes that are told by name should they be dropped at a start."""


class LiveTopology:
    """What an assembly was built from, and every change of it. A keeper of the engine: changes outlive a restart.

    What it takes to change anything is imported with the first change.

    Args:
        again: the definition that the matrix's file, or program, has, read anew: a host holds none, for its agents take the room.
        restored: what was kept of earlier changes.
    """

    def __init__(self, assembly: Assembly, around: Surroundings, again: Callable[[], MatrixSpec], restored: Restored | None = None) -> None:
        self.assembly = assembly
        self._around = around
        self._again = again
        self.places = around.places
        """Where agents run, as this host was told."""
        self.trusting: Callable[[MatrixSpec], Trust | None] = refuse_signed
        """Works out who is believed in a definition that is to run; what cannot run here raises. It may take long."""
        self.trusted: Callable[[Trust], None] = lambda trust: None  # noqa: ARG005 - nothing is signed
        """Called when it runs."""
        self._record = LiveRecord() if restored is None else restored.record
        self._manifest: dict[AgentPath, str] = {}
        engine = assembly.engine
        if self._record.paused:
            known = {engine.matrix, *assembly.agents, *engine.elsewhere}
            engine.pauses.parts.update(path for path in map(AgentPath, self._record.paused) if path in known)
        if restored is not None and restored.is_dropped:
            self._take_back(restored.record)

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
        paused = sorted(self.assembly.engine.pauses.parts)
        return {"": msgspec.msgpack.encode(msgspec.structs.replace(self._record, paused=paused))}

    def remember(self) -> None:
        """Work out what the definition was at the start, so that whatever is kept belongs to it. It may take long.

        Raises:
            ConfigError: the definition has no JSON form.
        """
        if not self._record.base:
            from edgematrix.config.live_record import hash_of, kept_form  # noqa: PLC0415 - see above

            self._record = msgspec.structs.replace(self._record, base=hash_of(kept_form(self._again())))

    def note(self) -> None:
        """What is paused has changed: keep it."""
        self.assembly.engine.touched.append(self)

    def prepare(self, path: AgentPath, edit: Edit) -> Prepared:
        """Edit, check and build. Nothing that runs is touched, so it may be done beside the event loop.

        Raises:
            EdgeMatrixError: the change is wrong; why, and what would be right.
        """
        from edgematrix.config.planning import plan  # noqa: PLC0415 - see above

        if self.places.here:
            raise UsageError(_DEPLOYED, where=path, remedy="change the matrix file, then edgematrix deploy")
        found = plan(self.definition(), path, edit, self._around, self.assembly, base=self._record.base, manifest=self._manifest)
        assert found.target is not None  # noqa: S101 - it is planned
        found.trust, found.target = self.trusting(found.target), None
        return found

    def replan(
        self, places: Places, spec: MatrixSpec | None = None, *, revision: int | None = None, before: MatrixSpec | None = None
    ) -> Prepared:
        """Build what is to run here from now on, and was not; nothing that runs is touched, so it may be done beside the event loop.

        Agents that stay where they are, and as they are, keep states and runs; who hears one that came or went hears it on.

        Args:
            places: where agents are to run.
            spec: another definition; None for the same.
            revision: the number of the deployment that it comes with.
            before: what runs, where whoever calls has made it already.

        Raises:
            EdgeMatrixError: it is wrong, or cannot be built here; why.
        """
        from edgematrix.config.planning import replan  # noqa: PLC0415 - see above

        trust = None if spec is None else self.trusting(spec)
        found = replan(before or self.definition(), spec, self._around, self.assembly, self.places, places, revision)
        found.trust = trust
        return found

    def definition(self) -> MatrixSpec:
        """What runs, made anew: a host holds none.

        Raises:
            ConfigError: it is damaged.
        """
        return self._record.definition() if self._record.spec else self._again()

    def apply(self, prepared: Prepared, now_us: int) -> Applied:
        """Put a change in place, on the event loop."""
        plan = cast("Plan", prepared)
        self.places = plan.places
        if plan.trust is not None:
            self.trusted(plan.trust)
        return self._replaced(plan, now_us) if plan.is_replan else self._edited(plan, now_us)

    def _replaced(self, plan: Plan, now_us: int) -> Applied:
        from edgematrix.config.placement import put_in_place  # noqa: PLC0415 - see above

        revision = self.revision if plan.deployed is None else plan.deployed
        applied = put_in_place(plan, self.assembly, revision, now_us)
        if plan.packed:
            packed = plan.packed
            self._again = lambda: unpacked(packed)
        self._record = msgspec.structs.replace(self._record, revision=revision)
        return applied

    def _edited(self, plan: Plan, now_us: int) -> Applied:
        from edgematrix.config.placement import put_in_place  # noqa: PLC0415 - see above

        applied = put_in_place(plan, self.assembly, self.revision + 1, now_us)
        record = self._record
        published = (set(record.published) | {path for path, value in plan.specs.items() if value is not None}) & plan.manifest.keys()
        self._manifest = plan.manifest
        self._record = LiveRecord(
            base=plan.base,
            revision=applied.revision,
            spec=plan.packed,
            changes=[*record.changes, plan.told][-_CHANGES_KEPT:],
            published=sorted(published),
        )
        self.note()
        return applied

    def _take_back(self, record: LiveRecord) -> None:
        """Take back what was published of changes that are of no use any more: the file has the last word."""
        engine, now_us = self.assembly.engine, self._around.clock.now_us()
        for path in (*record.published, engine.matrix):
            engine.outbox.append(Outbound(topic_for(engine.root, Kind.SPEC, path), b"", engine.matrix, now_us, 1, retain=True))
        self._record = LiveRecord(revision=record.revision + 1)
        self.note()
