"""Runs a bridge: its lines, and a connection to the broker for each device."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress

from edgematrix.protocol.topic import DEFAULT_ROOT
from edgematrix.runtime.clock import SystemClock
from edgematrix.transport.endpoint import Endpoint
from edgematrix.transport.paho import PahoTransport
from edgematrix.transport.settings import Settings
from firmware_bridge.serial.device import Device
from firmware_bridge.serial.line import Line, check_lines
from firmware_bridge.serial.pace import Pace
from firmware_bridge.serial.place import Place
from firmware_bridge.serial.post import Post

__all__ = ["run_bridge"]

_BITS_PER_BYTE = 10
"""With a start and a stop bit."""
_SESSION_EXPIRY_S = 300
"""How long the broker keeps commands for a bridge that is gone."""
_HELD_MAX = 32
"""Commands that the broker hands over before the first of them is answered; the others wait with it."""
_OUTBOX_MAX = 1_000


async def run_bridge(
    places: Sequence[tuple[Place, Endpoint]], told: Callable[[str], None], *, root: str = DEFAULT_ROOT, pace: Pace | None = None
) -> None:
    """Run until it is cancelled; then every device is told to be offline.

    Args:
        places: each device with the broker's address and what proves to the broker that it is this device.
        told: hears each change in a sentence.

    Raises:
        AccessRefusedError: the broker refuses a device.
        UsageError: a package is missing, or a certificate cannot be used.
    """
    check_lines(place for place, _ in places)
    lines: dict[str, Line] = {}
    posts = []
    for place, endpoint in places:
        line = lines.setdefault(place.port, Line(place, told))
        post = _post(place, endpoint, line, told, root, pace or Pace())
        line.add(post)
        posts.append(post)
    try:
        async with asyncio.TaskGroup() as group:
            for post in posts:
                group.create_task(_connected(post))
            for line in lines.values():
                group.create_task(line.run())
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


def _post(place: Place, endpoint: Endpoint, line: Line, told: Callable[[str], None], root: str, pace: Pace) -> Post:
    byte_us = 1_000_000 * _BITS_PER_BYTE / place.baud if place.baud else 0.0
    device = Device(place.path, place.address, lambda: 1 + secrets.randbelow(0xFFFF), pace, byte_us)
    own_id = endpoint.client_id or place.path.replace("/", ":")
    post = Post(device, place, root, own_id, line.write, SystemClock(), told)
    settings = Settings(
        client_id=own_id,
        will=post.will(),
        session_expiry_s=_SESSION_EXPIRY_S,
        acks_held=True,
        receive_max=_HELD_MAX,
        outbox_messages_max=_OUTBOX_MAX,
    )
    post.transport = PahoTransport(endpoint, settings)
    post.transport.subscribe({post.inputs: 1})
    return post


async def _connected(post: Post) -> None:
    """Be connected as a device; when it is cancelled, say goodbye."""
    assert post.transport is not None  # noqa: S101 - it was given one
    running = asyncio.create_task(post.transport.run(post))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        post.end()
        with suppress(Exception):
            await post.transport.close()
        raise
    finally:
        running.cancel()
