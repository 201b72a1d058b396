"""Takes the room on the disk from a running program for a while: no file of it can grow, as where the disk is full."""

from __future__ import annotations

import asyncio
import random
import resource
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from tests.chaos.program import Program

__all__ = ["Filler", "Filling", "draw_fillings"]

_FULL_S = 2.0
_LOG_BYTES = 1_500
"""What a program may still write to its log: less than a page of its store."""


@dataclass(frozen=True, slots=True)
class Filling:
    """One time that the disk is full: when so many messages have come through, for whom."""

    at: int
    victim: str


def draw_fillings(seed: int, messages: int, count: int, victims: Sequence[str]) -> list[Filling]:
    """The moments of a run, in order."""
    chance = random.Random(f"fillings {seed}")
    drawn = [Filling(chance.randrange(messages // 50, messages - messages // 50), chance.choice(victims)) for _ in range(count)]
    return sorted(drawn, key=lambda filling: filling.at)


class Filler:
    """Fills disks as messages come through, one at a time, and notes how long it took until more came after there was room again."""

    def __init__(self, fillings: Sequence[Filling], programs: Mapping[str, Program]) -> None:
        self.done = 0
        self.back_s: list[float] = []
        """From the moment at which there was room until the next message came through, each time."""
        self._waiting = deque(fillings)
        self._programs = programs
        self._count = 0
        self._is_full = False
        self._room_at_s: float | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def is_over(self) -> bool:
        return not self._waiting and not self._is_full

    def progressed(self, count: int) -> None:
        """So many messages have come through."""
        if self._room_at_s is not None:
            self.back_s.append(time.monotonic() - self._room_at_s)
            self._room_at_s = None
        self._count = count
        self._look()

    def _look(self) -> None:
        if self._waiting and self._waiting[0].at <= self._count and not self._is_full:
            self._is_full = True
            self._task = asyncio.get_running_loop().create_task(self._fill(self._waiting.popleft()))

    async def _fill(self, filling: Filling) -> None:
        program = self._programs[filling.victim]
        pid = program.pid if program.is_running else 0  # one that was killed meanwhile has room when it is back
        if pid:
            _limit(pid, program.log.stat().st_size + _LOG_BYTES)
        await asyncio.sleep(_FULL_S)
        if pid:
            _limit(pid, resource.RLIM_INFINITY)
        self.done += 1
        self._is_full = False
        self._room_at_s = time.monotonic()
        self._look()


def _limit(pid: int, size_bytes: int) -> None:
    with suppress(ProcessLookupError):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))
