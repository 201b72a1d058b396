"""Carries out a schedule of kills as messages come through, and starts again what it has killed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence

from tests.chaos.program import Program, ProgramError
from tests.chaos.schedule import Kill

__all__ = ["Reaper"]

_READY_S = 120.0
_LOOK_S = 0.05


class Reaper:
    """Kills and starts programs.

    Args:
        kills: in order of `at`.
        programs: by the names that the kills use.
    """

    def __init__(self, kills: Sequence[Kill], programs: Mapping[str, Program]) -> None:
        self.done: list[Kill] = []
        self._waiting = deque(kills)
        self._programs = programs
        self._due: dict[str, deque[Kill]] = {name: deque() for name in programs}
        self._down: set[str] = set()

    @property
    def is_over(self) -> bool:
        """Whether all kills were carried out, and what they killed was started again."""
        return not self._waiting and not self._down and not any(self._due.values())

    def progressed(self, count: int) -> None:
        """So many messages have come through: kill what is due, at once."""
        while self._waiting and self._waiting[0].at <= count:
            kill = self._waiting.popleft()
            self._due[kill.victim].append(kill)
            if kill.victim not in self._down and kill.again_s is None:
                self._strike(kill.victim)

    async def run(self) -> None:
        """Start again what was killed; notice what ended by itself.

        Raises:
            ProgramError: a program ended by itself, or does not come back.
        """
        async with asyncio.TaskGroup() as group:
            for name in self._programs:
                group.create_task(self._keep(name))

    async def _keep(self, name: str) -> None:
        program = self._programs[name]
        while True:
            if name in self._down:
                await self._bring_back(name)
            elif self._due[name]:
                await asyncio.sleep(self._due[name][0].again_s or 0)
                self._strike(name)
            elif not program.is_running:
                raise ProgramError(f"{name} ended by itself with exit code {program.exit_code}\n{program.said()}")
            else:
                await asyncio.sleep(_LOOK_S)

    def _strike(self, name: str) -> None:
        self._down.add(name)
        self._programs[name].kill()

    async def _bring_back(self, name: str) -> None:
        kill = self._due[name].popleft()
        await asyncio.sleep(kill.down_s)
        program = self._programs[name]
        program.start()
        self.done.append(kill)
        self._down.discard(name)
        if not self._due[name]:
            await program.until_ready(_READY_S)
