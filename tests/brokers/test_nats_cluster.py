"""Three nodes of nats-server, of which any one may be gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from broker_process import skip_without
from broker_profile import ProfileProcess
from counting import all_came, connected_to, publish, subscriber, transport_to
from listening import Client, Ears


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[ProfileProcess]:
    skip_without("nats")
    running = ProfileProcess("nats-cluster", tmp_path)
    try:
        running.start()
        yield running
        assert running.stop() == 0
    finally:
        running.stop()


def killing(cluster: ProfileProcess, node: Callable[[], str]) -> Callable[[], Awaitable[None]]:
    """Kills a node, and waits until it is started again."""

    async def kill() -> None:
        name = node()
        before = cluster.pids[name]
        cluster.kill(name)
        await asyncio.to_thread(cluster.until_restarted, name, before)

    return kill


def node_of(cluster: ProfileProcess, client: Client) -> str:
    return next(name for name, place in cluster.places.items() if place == connected_to(client))


async def taken(port: int) -> asyncio.Server:
    """A listener on a port, as soon as the system has taken it from the process that was killed."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0)


@asynccontextmanager
async def gone(cluster: ProfileProcess, name: str) -> AsyncIterator[None]:
    """A node that was killed and cannot be started again, for its port is taken; afterwards it is."""
    before, port = cluster.pids[name], int(cluster.places[name].rpartition(":")[2])
    cluster.kill(name)
    async with await taken(port):
        yield
        await asyncio.to_thread(cluster.wait_for, f"{name} did not start again: port {port} is taken")
    await asyncio.to_thread(cluster.until_restarted, name, before)


def test_nothing_acknowledged_is_lost_when_the_node_of_a_subscriber_is_killed_and_it_goes_on_at_another(cluster: ProfileProcess) -> None:
    async def test() -> None:
        url = cluster.urls["nats-cluster"]
        async with subscriber(url, "ear") as ear:
            speaker = Client(transport_to(f"mqtt://{url.rpartition(',')[2]}", "speaker"), Ears())
            await speaker.online()
            first = node_of(cluster, ear)
            assert first != node_of(cluster, speaker)
            sent = asyncio.ensure_future(publish(speaker, 1_000, {}))
            await ear.ears.until(lambda ears: len(ears.messages) > 300)
            async with gone(cluster, first):
                await sent
                await all_came(ear, 1_000)
                await ear.online(times=2)
                assert node_of(cluster, ear) != first
            await speaker.close()

    asyncio.run(test())


@pytest.mark.slow
def test_nothing_of_ten_thousand_is_lost_whichever_node_is_killed(cluster: ProfileProcess) -> None:
    async def test() -> None:
        url = cluster.urls["nats-cluster"]
        async with subscriber(url, "ear") as ear:
            for node in cluster.nodes:
                speaker = Client(transport_to(url, f"speaker-{node}"), Ears())
                await speaker.online()
                ear.ears.messages.clear()
                await publish(speaker, 10_000, {3_000: killing(cluster, lambda node=node: node)})  # type: ignore[misc]
                await all_came(ear, 10_000)
                await speaker.close()

    asyncio.run(test())
