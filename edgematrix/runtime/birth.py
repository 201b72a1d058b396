"""What a host says of itself on the bus."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from edgematrix.hosting.capability import Birth, Capability, Refused, encode_birth
from edgematrix.protocol.message import Publication
from edgematrix.protocol.topic import Kind, topic_for

if TYPE_CHECKING:
    from edgematrix.runtime.endings import Endings

__all__ = ["Announcer", "host_topic"]

_LOAD_NOTICED = 0.25
"""A smaller change of the load is not worth a message."""


def host_topic(root: str, name: str) -> str:
    """Where a host says that it is there."""
    return topic_for(root, Kind.HOST, name)


class Announcer:
    """Holds what a host says of itself while it lives, whatever it runs.

    Args:
        name: the host's.
        session: an id of this process's life.
        since: when it began, RFC 3339.
        version: of the package.
        capability: what it can do.
        load: how busy the machine is now.
        matrix: what it is to run, where it was told; the empty text for the first that gives it agents.
    """

    def __init__(
        self, name: str, session: str, since: str, version: str, capability: Capability, load: Callable[[], float], matrix: str = ""
    ) -> None:
        self.session = session
        self.endings: Endings | None = None
        """What tells which certificates end soon; None without TLS."""
        self._load = load
        self._birth = Birth(
            name,
            is_online=True,
            session=session,
            since=since,
            version=version,
            matrix=matrix,
            follows=True,
            capability=capability.bounded(),
            load=load(),
        )

    def runs(self, matrix: str, revision: int) -> None:
        """It follows this deployment from now on."""
        self._birth = msgspec.structs.replace(self._birth, matrix=matrix, revision=revision, refused=None)

    def refuses(self, revision: int, reason: str) -> None:
        """It does not carry out a deployment; `reason` tells why."""
        self._birth = msgspec.structs.replace(self._birth, refused=Refused(revision, reason))

    @property
    def refused(self) -> Refused | None:
        """What it does not carry out."""
        return self._birth.refused

    @property
    def number(self) -> int:
        """That of the newest publication."""
        return self._birth.number

    def notices_load(self) -> bool:
        """Look how busy the machine is; whether that is worth telling."""
        load = self._load()
        if abs(load - self._birth.load) < _LOAD_NOTICED:
            return False
        self._birth = msgspec.structs.replace(self._birth, load=load)
        return True

    def publication(self, root: str, *, is_online: bool, agents: int) -> Publication:
        """What goes over the bus, retained."""
        self._birth = msgspec.structs.replace(self._birth, agents=agents, number=self._birth.number + 1)
        warnings = () if self.endings is None else self.endings.warnings
        told = msgspec.structs.replace(self._birth, is_online=is_online, warnings=warnings)
        return Publication(host_topic(root, told.name), encode_birth(told), 1, retain=True)
