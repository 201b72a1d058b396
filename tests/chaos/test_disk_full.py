"""A disk without room at any write, for a while: nothing is acknowledged that is not stored, it is said, and work goes on afterwards."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edgematrix.delivery.ack import read_ack
from edgematrix.delivery.inbox import Inbox
from edgematrix.errors import StateError
from edgematrix.protocol.codec import decode_value
from edgematrix.runtime.keeper import parts_by_owner
from tests.chaos.boards import FIRST, Boards
from tests.chaos.in_memory import Disk, World

HERE = Path(__file__).parent
HOSTS = ("a", "b", "c")
MESSAGES, WINDOW = 60, 3
FULL_S = 1.5
BACK_S = 5.0
TIMEOUT_S = 60.0
AT_ONCE = 16


@dataclass
class Room:
    """Counts the writes of all hosts. From write `full_at` on the disk of its host is full, for a while."""

    full_at: int
    writes: int = 0
    full: Disk | None = None
    until_s: float = 0.0
    refused: int = 0

    def judge(self, disk: Disk, is_done: bool) -> None:
        if is_done:
            return
        self.writes += 1
        if self.full is None and self.writes >= self.full_at:
            self.full, self.until_s = disk, time.monotonic() + FULL_S
        if self.full is disk and time.monotonic() < self.until_s:
            self.refused += 1
            raise StateError("the store cannot be written: database or disk is full")


@dataclass
class Watch:
    """Boards that look whether what is acknowledged to them is stored, and when they get on."""

    boards: Boards
    disk: Disk
    false: list[str] = field(default_factory=list)

    def received(self, topic: str, payload: bytes, qos: int, retained: bool) -> None:
        if topic == f"em/ack/{FIRST}":
            ack = read_ack(decode_value(payload))
            inbox = Inbox(lambda keeper: None)
            inbox.load(parts_by_owner(dict(self.disk.parts)).get(Inbox.STORE_KEY, {}), _refuse)
            stored = {known.epoch: known.seq for receiver, known in inbox.all_acks() if (receiver, known.edge) == (FIRST, ack.edge)}
            if stored.get(ack.epoch, 0) < ack.seq:
                self.false.append(f"{ack} is acknowledged, {stored} is stored")
        self.boards.received(topic, payload, qos, retained)

    def connected(self, session_present: bool) -> None:
        self.boards.connected(session_present)

    def disconnected(self, reason: str) -> None:
        self.boards.disconnected(reason)

    def refused(self, topic_filter: str, reason: str) -> None:
        self.boards.refused(topic_filter, reason)

    def dropped(self, topic: str, reason: str) -> None: ...

    def confirmed(self, number: int) -> None: ...


@pytest.fixture
def matrix(tmp_path: Path) -> Path:
    for name in ("chain.yaml", "chain.py"):
        shutil.copy(HERE / name, tmp_path / name)
    return tmp_path / "chain.yaml"


async def play(matrix: Path, full_at: int) -> tuple[int, list[str]]:
    """One run: how many writes there were, and what is wrong."""
    room = Room(full_at)
    disks = {name: Disk(room.judge) for name in HOSTS}
    world = World(matrix, disks)
    boards = Boards(world.transport, messages=MESSAGES, window_max=WINDOW)
    watch = Watch(boards, disks["a"])
    boards.begin()
    back_s: list[float] = []

    def until() -> bool:
        if room.full is not None and not back_s and time.monotonic() >= room.until_s and boards.last_at_s > room.until_s:
            back_s.append(boards.last_at_s - room.until_s)
        return boards.is_complete

    await world.run(watch, until, TIMEOUT_S)
    wrong = list(watch.false)
    if boards.lost or boards.twice or boards.dead:
        wrong.append(f"{boards.lost} lost, {boards.twice} twice, {boards.dead}")
    if room.refused:
        if not any("nothing can be stored" in said for said in world.said):
            wrong.append("it was not said")
        if room.until_s < boards.last_at_s and (not back_s or back_s[0] > BACK_S):
            wrong.append(f"it went on after {back_s} s")
    return room.writes, wrong


def play_all(matrix: Path, moments: Iterator[int]) -> list[str]:
    faults: list[str] = []

    async def work() -> None:
        for full_at in moments:
            _, wrong = await play(matrix, full_at)
            faults.extend(f"full at write {full_at}: {fault}" for fault in wrong)

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(work())

    asyncio.run(main())
    return faults


def test_a_full_disk_at_some_writes_costs_nothing(matrix: Path) -> None:
    writes, wrong = asyncio.run(play(matrix, 1_000_000))
    assert wrong == []
    assert play_all(matrix, iter(range(1, writes, 40))) == []


@pytest.mark.slow
def test_a_full_disk_at_each_write_costs_nothing(matrix: Path) -> None:
    writes, _ = asyncio.run(play(matrix, 1_000_000))
    print(f"{writes} writes")
    assert play_all(matrix, iter(range(1, writes))) == []


def _refuse(key: str, error: Exception) -> None:
    raise AssertionError(f"{key}: {error}")
