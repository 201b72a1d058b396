"""Puts retained definitions and manifests together, in whatever order they come, until a revision is whole."""

from __future__ import annotations

import msgspec

from edgematrix.errors import CodecError
from edgematrix.hosting.manifest import (
    DEFINITION_BYTES_MAX,
    DEFINITIONS_MAX,
    Manifest,
    ProtocolMismatchError,
    definition_hash,
    read_manifest,
)
from edgematrix.protocol.path import AgentPath

__all__ = ["NOT_WHOLE", "Deployment", "Gathering", "Standing"]

_NAMED_MAX = 5
NOT_WHOLE = "is not whole"
"""What is said of a revision of which definitions are missing."""


class Deployment(msgspec.Struct, frozen=True):
    """A revision that is whole: its manifest, and the bytes of every definition that it names."""

    manifest: Manifest
    definitions: dict[AgentPath, bytes]

    @property
    def revision(self) -> int:
        """Its number."""
        return self.manifest.revision


class Standing(msgspec.Struct, frozen=True):
    """How it stands with the newest manifest.

    One of `deployment`, `missing` (the definitions that are not there yet, or are others than the manifest means) and `refusal`
    (why a revision counts for nothing here; `revision` tells which) says something; before the first manifest none does.
    """

    deployment: Deployment | None = None
    missing: tuple[AgentPath, ...] = ()
    refusal: str = ""
    revision: int = 0

    def told(self) -> str:
        """What there is to say of it in a sentence; empty where it is whole, or nothing is known."""
        if self.refusal:
            return self.refusal
        if not self.missing:
            return ""
        named = ", ".join(self.missing[:_NAMED_MAX])
        more = f" and {len(self.missing) - _NAMED_MAX} more" if len(self.missing) > _NAMED_MAX else ""
        return f"revision {self.revision} {NOT_WHOLE}: there is no such definition yet of {named}{more}"


class Gathering:
    """Collects what is deployed of one matrix.

    The manifest with the highest revision counts. Of two with the same number it is the one that came last, as the broker has it:
    all hosts hear them in the same order, and one that comes later hears that one alone. Definitions count by their hashes, so
    that those of a deployment that was cut off do no harm to one that is whole already.

    Args:
        matrix: its name.
        known: what was whole before, as a host has kept it.
    """

    def __init__(self, matrix: str, known: Deployment | None = None) -> None:
        self.matrix = matrix
        self._known = known
        self._heard: dict[AgentPath, bytes] = {}
        """What stands on the bus."""
        self._hashes: dict[AgentPath, str] = {}
        self._heard_bytes = 0
        self._manifest = None if known is None else known.manifest
        self._missing: set[AgentPath] = set()
        self._refusal = ("", 0)

    @property
    def manifest(self) -> Manifest | None:
        """The newest that counts."""
        return self._manifest

    def take_definition(self, path: AgentPath, payload: bytes) -> None:
        """Take a definition; an empty one is gone. What is too large, or one too many, counts for nothing."""
        self._heard_bytes -= len(self._heard.pop(path, b""))
        self._hashes.pop(path, None)
        is_room = len(self._hashes) < DEFINITIONS_MAX or (self._manifest is not None and path in self._manifest.paths)
        if payload and is_room and len(payload) <= DEFINITION_BYTES_MAX and self._heard_bytes + len(payload) <= _BYTES_MAX:
            hashed = self._hashes[path] = definition_hash(payload)
            if not self._knows(path, hashed):
                self._heard[path] = payload
                self._heard_bytes += len(payload)
        if self._manifest is not None:
            self._look(path, self._manifest)

    def take_manifest(self, payload: bytes) -> None:
        """Take a manifest. One that cannot be read changes nothing but what is told."""
        if not payload:
            return
        try:
            manifest = read_manifest(self.matrix, payload)
        except ProtocolMismatchError as error:
            self._refusal = (str(error), error.revision)
            return
        except CodecError as error:
            self._refusal = (str(error), 0)
            return
        if self._manifest is not None and manifest.revision < self._manifest.revision:
            return
        self._refusal = ("", 0)
        self._manifest = manifest
        self._missing.clear()
        for path in manifest.paths:
            self._look(path, manifest)

    def standing(self) -> Standing:
        """How it stands now."""
        reason, revision = self._refusal
        if reason:
            return Standing(refusal=reason, revision=revision)
        manifest = self._manifest
        if manifest is None:
            return Standing()
        if self._missing:
            missing = tuple(path for path in manifest.paths if path in self._missing)
            return Standing(missing=missing, revision=manifest.revision)
        found = {path: self._definition(path, hashed) for path, hashed in manifest.paths.items()}
        return Standing(Deployment(manifest, found), revision=manifest.revision)

    @property
    def is_whole(self) -> bool:
        """Whether the newest revision is there as a whole."""
        return self._manifest is not None and not self._missing and not self._refusal[0]

    @property
    def missing(self) -> frozenset[AgentPath]:
        """The definitions that the newest revision lacks."""
        return frozenset(self._missing)

    def lacks(self, path: AgentPath) -> bool:
        """Whether the newest revision lacks this definition."""
        return path in self._missing

    def settle(self, deployment: Deployment) -> None:
        """What was whole is kept from now on: its definitions are at hand whatever becomes of the bus."""
        former, self._known = self._known, deployment
        for path, hashed in self._hashes.items():  # what stands on the bus is held once, here or there
            if self._knows(path, hashed):
                self._heard_bytes -= len(self._heard.pop(path, b""))
            elif path not in self._heard and former is not None:
                self._heard[path] = former.definitions[path]
                self._heard_bytes += len(self._heard[path])

    def _look(self, path: AgentPath, manifest: Manifest) -> None:
        """Note whether the definition that the manifest means is there."""
        hashed = manifest.paths.get(path)
        if hashed is None or self._hashes.get(path) == hashed or self._knows(path, hashed):
            self._missing.discard(path)
        else:
            self._missing.add(path)

    def _knows(self, path: AgentPath, hashed: str) -> bool:
        return self._known is not None and self._known.manifest.paths.get(path) == hashed

    def _definition(self, path: AgentPath, hashed: str) -> bytes:
        known = self._known
        return known.definitions[path] if known is not None and self._knows(path, hashed) else self._heard[path]


_BYTES_MAX = 1 << 28
"""What all definitions of a matrix may weigh together."""
