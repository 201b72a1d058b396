"""What is kept of the changes of a running matrix, so that they outlive a restart."""

from __future__ import annotations

import hashlib
import zlib
from typing import ClassVar

import msgspec

from edgematrix.config.check import check_matrix
from edgematrix.config.exchange import read, write
from edgematrix.config.spec import MatrixSpec
from edgematrix.errors import ConfigError

__all__ = ["LiveRecord", "Restored", "restore"]

_VERSION = 1
_HASH_LENGTH = 16
_CHANGES_TOLD = 10


class LiveRecord(msgspec.Struct, frozen=True):
    """The changed definition (packed JSON; empty where nothing was changed), and what is paused.

    `base` is the hash of the definition that the host was started with; `changes` tells the newest changes in words; `published`
    are the agents whose definitions stand, retained, on the bus.
    """

    STORE_KEY: ClassVar[str] = "matrix#live"

    version: int = _VERSION
    base: str = ""
    revision: int = 0
    spec: bytes = b""
    paused: list[str] = []
    changes: list[str] = []
    published: list[str] = []

    def written(self) -> bytes:
        """As bytes, for the store."""
        return msgspec.msgpack.encode(self)

    @staticmethod
    def hash_of(data: bytes) -> str:
        """The hash of a definition."""
        return hashlib.sha256(data).hexdigest()[:_HASH_LENGTH]


class Restored(msgspec.Struct, frozen=True):
    """What a host starts with, and what there is to say about that.

    `record` without a `base` means that its changes are dropped; None that there are none.
    """

    spec: MatrixSpec
    record: LiveRecord | None = None
    warning: str = ""


def restore(spec: MatrixSpec, data: bytes | None) -> Restored:
    """Take up the changes that were kept, if the definition is still the one that was changed.

    Args:
        spec: what the file says now.
        data: what was stored; None for nothing.
    """
    if data is None:
        return Restored(spec)
    try:
        record = msgspec.msgpack.decode(data, type=LiveRecord)
    except msgspec.DecodeError as error:
        return Restored(spec, LiveRecord(), f"what was changed in the running matrix cannot be read, and is dropped: {error}")
    if record.version != _VERSION:
        what = f"what was changed in the running matrix is of version {record.version}, expected {_VERSION}, and is dropped"
        return Restored(spec, LiveRecord(revision=record.revision, published=record.published), what)
    reason = ""
    if record.base != LiveRecord.hash_of(write(spec)):
        reason = "the file has changed since"
    elif not record.spec:
        return Restored(spec, record)
    else:
        try:
            changed = read(zlib.decompress(record.spec))
        except (ConfigError, zlib.error) as error:
            reason = str(error)
        else:
            wrong = next((found.what for found in check_matrix(changed) if found.severity == "error"), None)
            if wrong is None:
                return Restored(changed, record)
            reason = wrong
    dropped = [*record.changes[-_CHANGES_TOLD:], *(f"pause {path}" for path in record.paused)]
    more = f"{len(record.changes) - _CHANGES_TOLD} more, " if len(record.changes) > _CHANGES_TOLD else ""
    what = f"what was changed while the matrix ran is dropped, for {reason}: {more}{', '.join(dropped)}"
    return Restored(spec, msgspec.structs.replace(record, base="", paused=[]), what)
