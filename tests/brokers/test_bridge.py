"""mosquitto at the edge, bridged to one at the centre."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from broker_process import skip_without
from broker_profile import ProfileProcess
from counting import all_came, publish, subscriber, transport_to
from listening import Client, Ears

from edgematrix.protocol.message import Publication


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[ProfileProcess]:
    skip_without("mosquitto")
    running = ProfileProcess("mosquitto-bridge", tmp_path)
    try:
        running.start(up=2)
        yield running
        assert running.stop() == 0
    finally:
        running.stop()


def restarting(bridge: ProfileProcess, node: str) -> Callable[[], Awaitable[None]]:
    async def restart() -> None:
        await asyncio.to_thread(bridge.restart, node)

    return restart


async def crosses(one: Client, other: Client) -> None:
    """Wait until what is published on one side comes out on the other."""
    async with asyncio.timeout(30):
        while b"across" not in other.ears.payloads:
            one.transport.publish(Publication("count/across", b"across", 1))
            await asyncio.sleep(0.05)


def test_it_carries_both_ways_once_with_what_is_retained(bridge: ProfileProcess) -> None:
    async def test() -> None:
        async with subscriber(bridge.urls["edge"], "edge") as edge, subscriber(bridge.urls["centre"], "centre") as centre:
            await crosses(edge, centre)
            for one, other, word in ((edge, centre, b"up"), (centre, edge, b"down")):
                one.transport.publish(Publication(f"count/{word.decode()}", word, 1, retain=True))
                await other.ears.until(lambda ears, word=word: word in ears.payloads)  # type: ignore[misc]
                one.transport.publish(Publication("count/end", b"end of " + word, 1))
                await other.ears.until(lambda ears, word=word: b"end of " + word in ears.payloads)  # type: ignore[misc]
                assert one.ears.payloads.count(word) == other.ears.payloads.count(word) == 1
            late = Client(transport_to(bridge.urls["edge"], "late"), Ears())
            late.transport.subscribe({"count/down": 1})
            await late.ears.until(lambda ears: ("count/down", b"down", 1, True) in ears.messages)
            await late.close()

    asyncio.run(test())


@pytest.mark.parametrize("count", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("start", "end"), [("edge", "centre"), ("centre", "edge")])
def test_nothing_acknowledged_is_lost_when_either_side_restarts(bridge: ProfileProcess, start: str, end: str, count: int) -> None:
    async def test() -> None:
        async with subscriber(bridge.urls[end], "ear") as ear:
            speaker = Client(transport_to(bridge.urls[start], "speaker"), Ears())
            await speaker.online()
            await crosses(speaker, ear)
            await publish(speaker, count, {count // 4: restarting(bridge, "edge"), count * 3 // 4: restarting(bridge, "centre")})
            await all_came(ear, count)
            await speaker.close()

    asyncio.run(test())


@pytest.mark.slow
def test_what_is_acknowledged_while_the_centre_is_away_comes_when_it_is_back(tmp_path: Path) -> None:
    """10,000 wait at the edge: more than the 1,000 that mosquitto keeps by itself."""
    skip_without("mosquitto")
    centre, edge = ProfileProcess("mosquitto-bridge", tmp_path / "centre", "--only", "centre"), None
    try:
        centre.start()
        edge = ProfileProcess("mosquitto-bridge", tmp_path / "edge", "--only", "edge", "--centre", centre.urls["centre"])
        edge.start()
        url = centre.urls["centre"]

        async def before() -> None:
            async with subscriber(url, "ear") as ear:
                speaker = Client(transport_to(edge.urls["edge"], "speaker"), Ears())
                await speaker.online()
                await crosses(speaker, ear)
                await speaker.close()

        async def away() -> None:
            speaker = Client(transport_to(edge.urls["edge"], "speaker"), Ears())
            await speaker.online()
            await publish(speaker, 10_000, {})
            await speaker.close()

        async def after() -> None:
            async with subscriber(url, "ear") as ear:
                await all_came(ear, 10_000)

        asyncio.run(before())
        assert centre.stop() == 0
        asyncio.run(away())
        edge.restart("edge")
        centre.start()
        asyncio.run(after())
    finally:
        centre.stop()
        if edge is not None:
            edge.stop()
