"""Commands for one device: what waits, what is under way, and what was done."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["WIRE_ID_BYTES", "Command", "Commands", "wire_id"]

WIRE_ID_BYTES = 4


def wire_id(text: str) -> bytes:
    """What stands for a command's id on the line: the first 4 bytes of its SHA-256, so that it is the same after a restart."""
    return hashlib.sha256(text.encode()).digest()[:WIRE_ID_BYTES]


@dataclass(slots=True)
class Command:
    """One of them.

    `id` is empty for a bare payload, `wire` is what stands for it on the line. `receipt` is the broker's message that it came in,
    0 if the broker does not keep it. `sent` counts how often it went over the line. On a durable edge `edge` is its name, and `sequence`
    counts from 1 in `epoch`.
    """

    id: str
    wire: bytes
    port: str
    value: bytes
    expires_us: int
    receipt: int = 0
    sent: int = 0
    edge: str = ""
    epoch: int = 0
    sequence: int = 0


class Commands:
    """A queue with a bound, of which the first alone is under way.

    Args:
        waiting_max: how many may wait.
        ids_max: how many that were done are remembered.
    """

    def __init__(self, waiting_max: int, ids_max: int) -> None:
        self._waiting: deque[Command] = deque()
        self._waiting_max = waiting_max
        self._done: dict[str, None] = {}
        self._ids_max = ids_max

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Command]:
        return iter(self._waiting)

    @property
    def first(self) -> Command | None:
        """The next, or the one under way."""
        return self._waiting[0] if self._waiting else None

    @property
    def is_full(self) -> bool:
        """Whether no more may wait."""
        return len(self._waiting) >= self._waiting_max

    def add(self, command: Command) -> None:
        """Let it wait, behind all others."""
        self._waiting.append(command)

    def take(self, command: Command) -> None:
        """It waits no longer."""
        self._waiting.remove(command)

    def waiting(self, command_id: str) -> Command | None:
        """The one of this id that waits, or is under way."""
        return next((command for command in self._waiting if command.id == command_id), None) if command_id else None

    def was_done(self, command_id: str) -> bool:
        """Whether it was done already, as far as is remembered."""
        return command_id in self._done

    def remember(self, command_id: str) -> None:
        """It was done."""
        if command_id:
            self._done[command_id] = None
            if len(self._done) > self._ids_max:
                del self._done[next(iter(self._done))]
