"""The definition of a running matrix, and every change of it, kept for the next start."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import msgspec

from edgematrix.config.live_record import LiveRecord, Restored
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.runtime.assembly import Assembly
from edgematrix.runtime.outbound import Outbound
from edgematrix.runtime.topology import Applied, Prepared

if TYPE_CHECKING:
    from edgematrix.config.build import Surroundings
    from edgematrix.config.planning import Plan
    from edgematrix.config.spec import MatrixSpec
    from edgematrix.runtime.order import Edit

__all__ = ["LiveTopology"]

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
        self._record = LiveRecord() if restored is None else restored.record
        self._manifest: dict[AgentPath, str] = {}
        engine = assembly.engine
        if self._record.paused:
            known = {engine.matrix, *assembly.agents}
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
            from edgematrix.config.exchange import write  # noqa: PLC0415 - see above
            from edgematrix.config.live_record import hash_of  # noqa: PLC0415

            self._record = msgspec.structs.replace(self._record, base=hash_of(write(self._again())))

    def note(self) -> None:
        """What is paused has changed: keep it."""
        self.assembly.engine.touched.append(self)

    def prepare(self, path: AgentPath, edit: Edit) -> Prepared:
        """Edit, check and build. Nothing that runs is touched, so it may be done beside the event loop.

        Raises:
            EdgeMatrixError: the change is wrong; why, and what would be right.
        """
        from edgematrix.config.planning import plan  # noqa: PLC0415 - see above

        record = self._record
        old = record.definition() if record.spec else self._again()
        return plan(old, path, edit, self._around, self.assembly, base=record.base, manifest=self._manifest)

    def apply(self, prepared: Prepared, now_us: int) -> Applied:
        """Put a change in place, on the event loop."""
        from edgematrix.config.placement import put_in_place  # noqa: PLC0415 - see above

        plan = cast("Plan", prepared)
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
