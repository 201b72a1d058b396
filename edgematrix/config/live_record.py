"""What is kept of the changes of a running matrix, so that they outlive a restart."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import msgspec

from edgematrix.config.spec import MatrixSpec
from edgematrix.errors import ConfigError, Issue

__all__ = ["LiveRecord", "Restored", "hash_of", "kept_form", "restore", "restore_paused", "unpacked"]

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

    def definition(self) -> MatrixSpec:
        """The changed definition.

        Raises:
            ConfigError: it is damaged.
        """
        return unpacked(self.spec)


class Restored(msgspec.Struct, frozen=True):
    """What a host starts with, and what there is to say about that. `is_dropped` tells that the changes of `record` do not count."""

    spec: MatrixSpec
    record: LiveRecord = LiveRecord()
    warning: str = ""
    is_dropped: bool = False


def hash_of(data: bytes) -> str:
    """The hash of a definition."""
    import hashlib  # noqa: PLC0415 - most hosts start without changes

    return hashlib.sha256(data).hexdigest()[:_HASH_LENGTH]


def kept_form(spec: MatrixSpec) -> bytes:
    """A definition as it is stored: without who connects to the broker, and with which password.

    Raises:
        ConfigError: a payload, made in Python, has no JSON form.
    """
    from edgematrix.config.exchange import write  # noqa: PLC0415 - most hosts start without changes

    if "@" not in spec.broker:
        return write(spec)
    from edgematrix.config.broker_address import without_credentials  # noqa: PLC0415

    return write(replace(spec, broker=without_credentials(spec.broker)))


def unpacked(packed: bytes) -> MatrixSpec:
    """A definition that was packed, as a record holds it.

    Raises:
        ConfigError: it is damaged.
    """
    import zlib  # noqa: PLC0415 - most hosts start without changes

    from edgematrix.config.exchange import read  # noqa: PLC0415

    try:
        return read(zlib.decompress(packed))
    except zlib.error as error:
        raise ConfigError([Issue("error", f"the stored definition is damaged: {error}")]) from None


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
        return Restored(spec, warning=f"what was changed while the matrix ran cannot be read, and is dropped: {error}")
    if record.version != _VERSION:
        what = f"what was changed while the matrix ran is of version {record.version}, expected {_VERSION}, and is dropped"
        return Restored(spec, msgspec.structs.replace(record, paused=[]), what, is_dropped=True)
    if not record.spec and not record.paused:
        return Restored(spec, LiveRecord(revision=record.revision))
    changed, reason = _changed(spec, record)
    if changed is not None:
        return Restored(changed, record)
    dropped = [*record.changes[-_CHANGES_TOLD:], *(f"pause {path}" for path in record.paused)]
    more = f"{len(record.changes) - _CHANGES_TOLD} more, " if len(record.changes) > _CHANGES_TOLD else ""
    what = f"what was changed while the matrix ran is dropped, for {reason}: {more}{', '.join(dropped)}"
    return Restored(spec, msgspec.structs.replace(record, paused=[]), what, is_dropped=True)


def restore_paused(spec: MatrixSpec, data: bytes | None, revision: int) -> Restored:
    """Take up what was paused of a matrix that is deployed: nothing else of it is changed while it runs.

    Args:
        spec: what is deployed.
        data: what was stored; None for nothing.
        revision: that of the deployment.
    """
    record = LiveRecord(revision=revision)
    if data is None:
        return Restored(spec, record)
    try:
        kept = msgspec.msgpack.decode(data, type=LiveRecord)
    except msgspec.DecodeError as error:
        return Restored(spec, record, warning=f"what was paused cannot be read, and goes on: {error}")
    return Restored(spec, msgspec.structs.replace(record, paused=kept.paused))


def _changed(spec: MatrixSpec, record: LiveRecord) -> tuple[MatrixSpec | None, str]:
    """The changed definition; None, and why, where it is of no use."""
    from edgematrix.config.check import check_matrix  # noqa: PLC0415 - most hosts start without changes

    if record.base != hash_of(kept_form(spec)):
        return None, "the file has changed since"
    if not record.spec:
        return spec, ""
    try:
        changed = record.definition()
    except ConfigError as error:
        return None, str(error)
    wrong = next((found.what for found in check_matrix(changed) if found.severity == "error"), "")
    return (None, wrong) if wrong else (changed, "")
