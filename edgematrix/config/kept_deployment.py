"""The deployment that a host follows, in a file: the host starts from it, whether the broker is there or not."""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from pathlib import Path

import msgspec

from edgematrix.errors import CodecError, StateError
from edgematrix.hosting.manifest import definition_hash, encode_manifest, read_manifest
from edgematrix.hosting.revision import Deployment
from edgematrix.protocol.path import AgentPath

__all__ = ["KeptDeployment"]

_NAME = "deployment.json"
_VERSION = 1


class KeptDeployment:
    """A file in the folder where a host keeps its states."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / _NAME

    def read(self) -> Deployment | None:
        """What was kept; None where there is nothing.

        Raises:
            StateError: it is damaged.
        """
        try:
            data = self._file.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StateError(f"cannot be read: {error.strerror}", where=str(self._file)) from None
        try:
            plain = msgspec.json.decode(data)
            if plain["v"] != _VERSION:
                raise StateError(f"is of the version {plain['v']!r}, expected {_VERSION}", where=str(self._file))
            manifest = read_manifest(plain["matrix"], b64decode(plain["manifest"]))
            definitions = {AgentPath(path): b64decode(text) for path, text in plain["definitions"].items()}
        except (msgspec.DecodeError, CodecError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise StateError(f"is damaged: {error}", where=str(self._file), remedy="remove it; the host takes it anew") from None
        wrong = next((path for path, hashed in manifest.paths.items() if definition_hash(definitions.get(path, b"")) != hashed), None)
        if wrong is not None:
            raise StateError(f"is damaged: the definition of {wrong}", where=str(self._file), remedy="remove it; the host takes it anew")
        return Deployment(manifest, definitions)

    def write(self, deployment: Deployment) -> None:
        """Keep it, in place of the former, whole or not at all.

        Raises:
            StateError: it cannot be written; the former is kept.
        """
        plain = {
            "v": _VERSION,
            "matrix": deployment.manifest.matrix,
            "manifest": b64encode(encode_manifest(deployment.manifest)).decode(),
            "definitions": {path: b64encode(data).decode() for path, data in deployment.definitions.items()},
        }
        draft = self._file.with_suffix(".new")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as file:
                file.write(msgspec.json.encode(plain))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._file)
            _sync(self._file.parent)
        except OSError as error:
            raise StateError(f"cannot be written: {error.strerror}", where=str(self._file)) from None

    def forget(self) -> None:
        """Keep nothing."""
        self._file.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Make sure that a new name in a folder survives a loss of power."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
