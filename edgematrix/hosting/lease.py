"""The message that says who has a failover unit. What hosts make of it: `tenure`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from edgematrix.errors import CodecError

__all__ = ["EPOCH_MAX", "Lease", "read_lease"]

EPOCH_MAX: Final = 2**53
_VERSION: Final = 1


class Lease(msgspec.Struct, frozen=True):
    """What the topic of a lease carries.

    `epoch` only grows. `holder` is the name of a host, empty where the lease was laid down, `session` the life of its process.
    `beat` counts what that life has published on the topic, so that an echo tells which renewal it is of; 0 where somebody else
    published it: `giver`, the session of whoever handed the lease over, or laid it down.
    """

    epoch: int
    holder: str
    session: str
    beat: int = 0
    giver: str = ""

    @property
    def rank(self) -> tuple[int, str]:
        """Of two leases the one with the higher rank counts."""
        return self.epoch, self.holder

    def as_value(self) -> dict[str, object]:
        """What is published."""
        value = {"v": _VERSION, "epoch": self.epoch, "holder": self.holder, "session": self.session, "beat": self.beat}
        return value | {"giver": self.giver} if self.giver else value


def read_lease(value: object) -> Lease:
    """Read what came on the topic of a lease.

    Raises:
        CodecError: it is no lease, or of another version.
    """
    if not isinstance(value, Mapping) or value.get("v") != _VERSION:
        raise CodecError(f"no lease of version {_VERSION}")
    try:
        lease = msgspec.convert(value, Lease)
    except msgspec.ValidationError as error:
        raise CodecError(f"no lease: {error}") from None
    if not 0 <= lease.epoch <= EPOCH_MAX:
        raise CodecError(f"no lease: its epoch is {lease.epoch}")
    return lease
