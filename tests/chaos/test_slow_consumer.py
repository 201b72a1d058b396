"""Whoever takes less than comes: memory stays bounded; what is best effort is dropped and counted, what is durable waits at its sender."""

from __future__ import annotations

import asyncio
import resource
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from edgematrix.protocol.message import Publication
from edgematrix.runtime.keeper import PART_SEPARATOR
from edgematrix.transport.endpoint import Endpoint
from edgematrix.transport.paho import PahoTransport
from edgematrix.transport.settings import Settings
from tests.blackhole import Blackhole, Mode
from tests.broker_process import BrokerProcess
from tests.chaos.boards import Boards
from tests.chaos.in_memory import Disk, World

HERE = Path(__file__).parent
WAIT_S = 60.0
KEPT_MAX = 1_000


class Publisher:
    """Notes when it is connected, and what its transport gives up."""

    def __init__(self) -> None:
        self.online = asyncio.Event()
        self.dropped_by_reason: Counter[str] = Counter()

    def received(self, topic: str, payload: bytes, qos: int, retained: bool) -> None: ...

    def connected(self, session_present: bool) -> None:
        self.online.set()

    def disconnected(self, reason: str) -> None: ...

    def refused(self, topic_filter: str, reason: str) -> None: ...

    def dropped(self, topic: str, reason: str) -> None:
        self.dropped_by_reason[reason] += 1

    def confirmed(self, number: int) -> None: ...


def test_what_a_broker_does_not_take_is_bounded_and_each_drop_is_counted(own_broker: Callable[..., BrokerProcess]) -> None:
    """100 MB of QoS 0 against a connection that takes nothing, with room for 2 MB."""
    broker = own_broker("mosquitto")
    broker.start()
    count, payload = 100_000, bytes(1_000)

    async def test() -> None:
        async with Blackhole(broker.port) as hole:
            settings = Settings(client_id="fast", outbox_messages_max=2_000, outbox_bytes_max=2_000_000, close_timeout_s=0.2)
            link, transport = Publisher(), PahoTransport(Endpoint.parse(hole.url), settings)
            running = asyncio.create_task(transport.run(link))
            await asyncio.wait_for(link.online.wait(), WAIT_S)
            hole.set(Mode.BLACKHOLE)
            before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            for number in range(count):
                transport.publish(Publication("t/x", payload))
                if number % 1_000 == 0:
                    await asyncio.sleep(0)
            grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) / 1_000
            counts = transport.counts()
            dropped = link.dropped_by_reason["the queue is full"]
            assert grown_mb < 20
            assert dropped == counts["queue_dropped"] > 0
            assert counts["sent"] + dropped + settings.outbox_messages_max >= count
            await transport.close()
            await running

    asyncio.run(test())


def in_flight(disk: Disk) -> int:
    """How many messages a host keeps for agents elsewhere."""
    return sum(key.startswith(f"outbox{PART_SEPARATOR}") and "#" in key for key in list(disk.parts))


def test_durable_senders_wait_for_a_sink_that_takes_nothing_and_lose_nothing(tmp_path: Path) -> None:
    """The bound is far below what is sent: what has no room stays with whoever sends it, up to the first one."""
    text = (HERE / "chain.yaml").read_text()
    (tmp_path / "chain.yaml").write_text(text + f"limits: {{outbox_durable_max: {KEPT_MAX}}}\n")
    shutil.copy(HERE / "chain.py", tmp_path / "chain.py")

    async def test() -> tuple[World, Boards, int, list[str]]:
        disks = {name: Disk() for name in "abc"}
        world = World(tmp_path / "chain.yaml", disks)
        boards = Boards(world.transport, messages=2_500, window_max=2_500)
        boards.is_deaf = True
        boards.begin()
        most, calm_since, waited = 0, 0, 0

        def seen() -> bool:
            nonlocal most, calm_since, waited
            held = sum(in_flight(disk) for disk in disks.values())
            most = max(most, *(in_flight(disk) for disk in disks.values()))
            calm_since = calm_since + 1 if held == waited and held else 0
            waited = held
            if calm_since > 100:  # nothing moves any more: now it takes what comes
                boards.is_deaf = False
            return boards.is_complete

        await world.run(boards, seen, WAIT_S)
        return world, boards, most, world.said

    _, boards, most, _ = asyncio.run(test())
    assert KEPT_MAX // 2 <= most < 3 * KEPT_MAX
    assert boards.dead == []
    assert (boards.lost, boards.twice) == (0, 0)
