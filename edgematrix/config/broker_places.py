"""Where those who have an identity find the broker, and others with the same users."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from edgematrix.errors import UsageError
from edgematrix.identity.listener import Listener
from edgematrix.identity.registry import Entry, Kind, Registry

__all__ = ["CLUSTER", "PORT_LAST", "SERVER_NAME", "places_of", "read_others"]

SERVER_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:_-]{0,251}[A-Za-z0-9])?|::1?")
CLUSTER: Final = 3
"""Nodes of the profile `nats-cluster`, as many as mosquitto has listeners: ports from the first on."""
PORT_LAST: Final = 65_535
_OTHERS_MAX: Final = 8
_NO_OTHERS: Final = "-"


def places_of(registry: Registry, entry: Entry, kind: Kind) -> list[str]:
    """Where a principal finds the broker."""
    offset = Listener.of(entry.role, kind).offset if registry.broker == "mosquitto" else 0
    first = [(registry.servers[0], registry.port + number) for number in range(CLUSTER if registry.broker == "nats-cluster" else 1)]
    return [f"[{host}]:{port + offset}" if ":" in host else f"{host}:{port + offset}" for host, port in (*first, *registry.others)]


def read_others(texts: Sequence[str], first: str, port: int) -> tuple[tuple[str, int], ...]:
    """Further brokers, each a host and its first port.

    Raises:
        UsageError: there are too many, one is none, or stands there twice.
    """
    if list(texts) == [_NO_OTHERS]:
        return ()
    found = [(first, port)]
    for text in texts:
        parts = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^\s:\[\]/]+)(?::([0-9]{1,5}))?", text)
        number = port if parts is None or parts[2] is None else int(parts[2])
        host = "" if parts is None else parts[1].strip("[]")
        if SERVER_NAME.fullmatch(host) is None or not 0 < number <= PORT_LAST - CLUSTER:
            raise UsageError(f"{text[:80]!r} is not HOST[:PORT]", where="--other", remedy="--other broker2.local")
        if (host, number) in found:
            raise UsageError(f"the broker {host}:{number} stands there twice", where="--other")
        found.append((host, number))
    if len(found) > _OTHERS_MAX + 1:
        raise UsageError(f"there are {len(found) - 1} more brokers, {_OTHERS_MAX} is the most", where="--other")
    return tuple(found[1:])
