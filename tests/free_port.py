"""Ports that nobody takes while a server of a test is dead, or not yet there."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack, suppress

_PORTS = range(20_000, 32_000)
"""Brokers look for a free one from 1883 on, and systems give clients theirs from 32,768 on: those may be somebody's a moment later."""
_chance = random.SystemRandom()
"""hypothesis seeds the common one, alike in each process."""


def free_ports(count: int) -> int:
    """The first of so many free ports in a row."""
    while True:
        first = _chance.choice(_PORTS)
        with suppress(OSError), ExitStack() as stack:
            for port in range(first, first + count):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return first


def free_port() -> int:
    return free_ports(1)
