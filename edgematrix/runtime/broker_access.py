"""The access folder with which a broker is started: TLS, who may come in, and what each may do (`edgematrix provision` makes it)."""

from __future__ import annotations

import os
import ssl
from datetime import UTC, datetime
from pathlib import Path

from edgematrix.errors import UsageError
from edgematrix.identity.access_folder import ADDRESS, AccessFolder
from edgematrix.identity.listener import listeners_of, mosquitto_listeners, nats_listener_tls
from edgematrix.identity.registry import read_registry

__all__ = ["BrokerIdentities"]


class BrokerIdentities:
    """What of an access folder a broker needs.

    Args:
        path: the folder.

    Raises:
        UsageError: it is none, or a file is missing or readable by others.
        StateError: its list of identities is damaged.
    """

    def __init__(self, path: Path) -> None:
        folder = AccessFolder(path)
        if not folder.exists:
            raise UsageError("there are no identities", where=str(path), remedy=f"edgematrix provision MATRIX --out {path}")
        if any(bad in str(path.resolve()) for bad in '"\n\r\\'):
            raise UsageError("the folder's name holds a quote, a backslash or a line break", where=str(path))
        self.path = path
        self.registry = read_registry(folder.registry)
        self._broker = folder.broker
        self._files = folder.broker.resolve()
        self._authority = folder.authority

    @property
    def port(self) -> int:
        """The first one that clients look for."""
        return self.registry.port

    @property
    def first_offset(self) -> int:
        """How far mosquitto's first listener is from that."""
        return listeners_of(self.registry, datetime.now(UTC))[0].offset

    @property
    def example(self) -> str:
        """The address of a host, as it is given on a command line."""
        entry = next((entry for entry in self.registry.principals if entry.role == "host"), None)
        if entry is None:
            return ""
        return f"--name {entry.name} --matrix {self.registry.matrix} --broker @{AccessFolder(self.path).of('host', entry.name) / ADDRESS}"

    def mosquitto(self, port: int, address: str) -> str:
        """Lines that make its listeners, the first at `port`."""
        self._check("acl")
        return mosquitto_listeners(self.registry, datetime.now(UTC), folder=str(self._files), port=port, address=address)

    def nats_tls(self) -> str:
        """The `tls` block of its `mqtt` block."""
        return nats_listener_tls(self.registry, datetime.now(UTC), folder=str(self._files))

    def nats_users(self, directory: Path) -> str:
        """The line that includes users and access list, for a configuration in `directory`: nats-server reads it relative to that."""
        self._check("users.conf")
        return f'include "{os.path.relpath(self._files / "users.conf", directory.resolve())}"'

    def context(self) -> ssl.SSLContext:
        """With which one looks whether it answers."""
        return ssl.create_default_context(cafile=str(self._authority))

    def stamp(self) -> tuple[tuple[str, int], ...]:
        """Differs as soon as a file differs."""
        try:
            return tuple(sorted((entry.name, entry.stat().st_mtime_ns) for entry in os.scandir(self._broker)))
        except OSError:
            return ()

    def _check(self, file: str) -> None:
        if not (self._broker / file).is_file():
            remedy = "NATS wants either secrets or certificates, not both" if file == "users.conf" else "edgematrix provision writes it"
            raise UsageError("there is no such file", where=str(self._broker / file), remedy=remedy)
