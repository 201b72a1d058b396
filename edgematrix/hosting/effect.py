"""What a host has to do about the lease of a unit."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from edgematrix.hosting.lease import Lease

__all__ = ["Activate", "Effect", "Publish", "Sever", "Suspend"]


class Publish(msgspec.Struct, frozen=True):
    """Publish the lease, retained. It is worth nothing if it has to wait."""

    lease: Lease


class Activate(msgspec.Struct, frozen=True):
    """The unit is this host's from now on."""

    epoch: int


class Suspend(msgspec.Struct, frozen=True):
    """The unit is this host's no longer: at once, nothing of it may have an effect."""

    epoch: int
    reason: str


class Sever(msgspec.Struct, frozen=True):
    """Break the connection: what is on its way would arrive when another host has the unit."""

    reason: str


Effect: TypeAlias = Publish | Activate | Suspend | Sever
