"""One unit that may move, as this host stands to it."""

from __future__ import annotations

from edgematrix.hosting.leased import LeasedUnit
from edgematrix.hosting.tenure import Tenure
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.snapshot import Snapshot

__all__ = ["HeldUnit"]


class HeldUnit:
    """Its definition, its lease, and what is known of its state."""

    __slots__ = ("heard", "is_here", "is_restored", "kept", "members", "published", "snapshot_us", "tenure", "unit", "wants")

    def __init__(self, unit: LeasedUnit, tenure: Tenure) -> None:
        self.unit = unit
        self.tenure = tenure
        self.members: frozenset[AgentPath] = frozenset()
        """Its agents that are built here."""
        self.is_here = False
        self.is_restored = False
        """Whether it has been here in this life of the process: then the store is not asked what it was like."""
        self.wants = False
        """Whether the snapshot is subscribed to."""
        self.heard: Snapshot | None = None
        """The newest snapshot that came over the bus since the claim."""
        self.kept: Snapshot | None = None
        """What it was like here when it was suspended."""
        self.published = b""
        self.snapshot_us = 0
