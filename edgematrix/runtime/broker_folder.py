"""The folder of brokers that run together: whose it is, and which ports they have."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from edgematrix.errors import BrokerError

__all__ = ["PORT_MAX", "free_ports", "is_free", "keep_ports", "kept_ports", "owned"]

PORT_MAX = 65_535
_FILE = "ports.json"
_LOCK = "lock"
_PORTS_TRIED_MAX = 1_000


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """The folder, made if it is missing, for as long as this process has it.

    Raises:
        BrokerError: another process has it.
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BrokerError(
                "brokers run in this folder already", where=str(folder), remedy="stop them, or name another with --state"
            ) from None
        yield
    finally:
        os.close(lock)


def kept_ports(folder: Path) -> Mapping[str, int]:
    """The ports that were used here before, by what they are for; empty at first.

    Raises:
        BrokerError: what is kept is damaged.
    """
    path = folder / _FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(type(port) is int and 0 < port <= PORT_MAX for port in found.values()):
        raise BrokerError("the ports that were used before cannot be read", where=str(path), remedy="remove the file; others are taken")
    return found


def keep_ports(folder: Path, ports: Mapping[str, int]) -> None:
    """Keep them for the next start, so that addresses stay."""
    fresh = folder / f"{_FILE}.new"
    fresh.write_text(json.dumps(ports), encoding="utf-8")
    fresh.replace(folder / _FILE)


def free_ports(names: Sequence[str], address: str, first: int, before: Mapping[str, int], taken: set[int]) -> dict[str, int]:
    """A free port for each name: the one that it had before, else the next from `first` on. They are added to `taken`.

    Raises:
        BrokerError: none is free.
    """
    found: dict[str, int] = {}
    for name in names:
        last = min(first + _PORTS_TRIED_MAX, PORT_MAX)
        for port in (before.get(name, first), *range(first, last + 1)):
            if port not in taken and is_free(address, port):
                break
        else:
            raise BrokerError(f"no port is free from {first} to {last}", remedy="stop what listens there, or name another with --port")
        found[name] = port
        taken.add(port)
    return found


def is_free(address: str, port: int) -> bool:
    """Whether nothing listens there.

    Raises:
        BrokerError: the address is none of this machine.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with contextlib.closing(socket.socket(family)) as probe:
        # Without it a port is taken for a minute after its last connection.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except PermissionError:
            raise BrokerError(f"port {port} may not be taken by this user", remedy="name one above 1023 with --port") from None
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise BrokerError(
                f"no port can be taken at {address[:80]}: {error.strerror or error}", remedy="--listen takes an address of this machine"
            ) from None
    return True
