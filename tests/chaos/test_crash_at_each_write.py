"""A host that dies at any write of its store, before it or after it, goes on where it was: nothing is lost, nothing comes twice."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path

import pytest

from tests.chaos.boards import Boards
from tests.chaos.in_memory import Disk, World

HERE = Path(__file__).parent
HOSTS = ("a", "b", "c")
MESSAGES = 60
WINDOW = 3
TIMEOUT_S = 60.0
AT_ONCE = 16


@dataclass
class Writes:
    """Counts the writes of all hosts, and lets a host die at some of them."""

    die_at: frozenset[tuple[int, bool]] = frozenset()
    """Which write, counted from 1, and whether it was done."""
    done: int = 0
    hosts: list[str] = field(default_factory=list)

    def judge(self, name: str, disk: Disk, is_done: bool) -> None:
        if not is_done:
            self.done += 1
            self.hosts.append(name)
        if (self.done, is_done) in self.die_at:
            disk.crash()

    def disks(self) -> dict[str, Disk]:
        return {name: Disk(lambda disk, is_done, name=name: self.judge(name, disk, is_done)) for name in HOSTS}


@pytest.fixture
def matrix(tmp_path: Path) -> Path:
    for name in ("chain.yaml", "chain.py"):
        shutil.copy(HERE / name, tmp_path / name)
    return tmp_path / "chain.yaml"


async def play(matrix: Path, die_at: Iterable[tuple[int, bool]] = ()) -> tuple[Writes, str]:
    """One run; what is wrong with it, if anything is."""
    writes = Writes(frozenset(die_at))
    world = World(matrix, writes.disks())
    boards = Boards(world.transport, messages=MESSAGES, window_max=WINDOW)
    boards.begin()
    await world.run(boards, lambda: boards.is_complete, TIMEOUT_S)
    wrong = []
    if boards.lost or boards.twice:
        wrong.append(f"{boards.lost} lost {boards.missing()}, {boards.twice} twice")
    wrong += [f"dead letter {letter}" for letter in boards.dead]
    due = sum(number <= writes.done for number, _ in writes.die_at)  # commits go together by chance: there may be fewer
    if world.deaths < due:
        wrong.append(f"{world.deaths} deaths, not {due}")
    return writes, "; ".join(wrong)


async def play_all(matrix: Path, points: Iterator[tuple[tuple[int, bool], ...]]) -> list[str]:
    """Many runs, some at once, for each waits most of its time."""
    faults = []

    async def work() -> None:
        for point in points:
            _, wrong = await play(matrix, point)
            if wrong:
                faults.append(f"{point}: {wrong}")

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(work())
    return faults


def test_without_a_crash_all_comes_once(matrix: Path) -> None:
    writes, wrong = asyncio.run(play(matrix))
    assert wrong == ""
    assert {*writes.hosts} == {*HOSTS}
    print(f"{writes.done} writes")


def points(writes_done: int, every: int) -> Iterator[tuple[tuple[int, bool], ...]]:
    return (((number, is_done),) for number in range(1, writes_done + 1, every) for is_done in (False, True))


def test_a_crash_at_some_writes_costs_nothing(matrix: Path) -> None:
    writes, _ = asyncio.run(play(matrix))
    assert asyncio.run(play_all(matrix, points(writes.done - 10, 40))) == []


@pytest.mark.slow
def test_a_crash_at_each_write_costs_nothing(matrix: Path) -> None:
    writes, _ = asyncio.run(play(matrix))
    all_points = list(points(writes.done - 10, 1))
    print(f"{len(all_points)} points")
    assert len(all_points) >= 500
    assert asyncio.run(play_all(matrix, iter(all_points))) == []


@pytest.mark.slow
def test_crashes_in_the_middle_of_recoveries_cost_nothing(matrix: Path) -> None:
    several = (tuple((first + step * gap, (first + step) % 2 == 0) for step in range(4)) for first in count(2, 3) for gap in (1, 2, 7))
    assert asyncio.run(play_all(matrix, islice(several, 100))) == []
