"""The bus in memory behaves as a broker does, and its faults come from a seed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from behaviour import QUICK, TransportBehaviour
from listening import Client, Ears, clients, run

from edgematrix.errors import AccessRefusedError
from edgematrix.protocol.message import Publication
from edgematrix.transport.memory import MemoryTransport
from edgematrix.transport.memory_bus import Faults, MemoryBus
from edgematrix.transport.settings import Settings


class MemoryPlace:
    """A bus of its own."""

    def __init__(self, bus: MemoryBus | None = None) -> None:
        self.bus = bus or MemoryBus()

    def transport(self, name: str, **settings: Any) -> MemoryTransport:
        return MemoryTransport(self.bus, Settings(client_id=name, **settings))

    def cut(self, client: Client) -> None:
        assert isinstance(client.transport, MemoryTransport)
        self.bus.cut(client.transport._settings.client_id)

    async def settled(self, _client: Client) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


class TestMemory(TransportBehaviour):
    @pytest.fixture
    def place(self) -> MemoryPlace:
        return MemoryPlace()

    def test_a_message_that_expires_on_the_way_is_not_delivered(self, place: MemoryPlace) -> None:
        """As the others, on a clock of its own."""

        async def test() -> None:
            loop = asyncio.get_running_loop()
            async with clients(place, "one", session_expiry_s=60) as (one,):
                one.transport.subscribe({"x": 1})
            place.bus.publish(Publication("x", b"short", 1, expiry_s=1))
            place.bus.publish(Publication("x", b"long", 1, expiry_s=60))
            now_s = loop.time
            loop.time = lambda: now_s() + 2  # type: ignore[method-assign]
            async with clients(place, "one", session_expiry_s=60) as (one,):
                await place.settled(one)
                assert one.ears.payloads == [b"long"]
            assert place.bus.dropped == 1

        run(test())


def test_a_refused_subscription_names_the_filter() -> None:
    async def test() -> None:
        bus = MemoryBus(refuses_subscription=lambda client, name: "not yours" if (client, name) == ("one", "secret/#") else "")
        async with clients(MemoryPlace(bus), "one") as (one,):
            one.transport.subscribe({"secret/#": 0, "open": 0, "$share/g/a": 0})
            assert one.ears.refusals == [("secret/#", "not yours"), ("$share/g/a", "there are no shared subscriptions here")]
            one.transport.publish(Publication("open", b"1"))
            await one.heard(b"1")

    run(test())


def test_a_refused_publication_is_reported() -> None:
    async def test() -> None:
        bus = MemoryBus(refuses_publication=lambda _, topic: "read only" if topic == "a" else "")
        async with clients(MemoryPlace(bus), "one") as (one,):
            one.transport.publish(Publication("a", b"1", 1, number=7))
            assert one.ears.drops == [("a", "the broker refused it: read only")]
            assert one.ears.confirmations == [7]
            assert one.transport.counts()["rejected"] == 1

    run(test())


def test_a_banned_client_ends() -> None:
    async def test() -> None:
        bus = MemoryBus()
        bus.ban("one", "bad password")
        one = Client(MemoryPlace(bus).transport("one"), Ears())
        with pytest.raises(AccessRefusedError, match="bad password"):
            await one.running

    run(test())


def test_a_broker_that_stops_and_forgets_is_told_the_filters_again() -> None:
    async def test() -> None:
        place = MemoryPlace()
        async with clients(place, "one", session_expiry_s=60, backoff=QUICK) as (one,):
            one.transport.subscribe({"a": 1})
            place.bus.publish(Publication("r", b"1", retain=True))
            place.bus.stop(forget=True)
            one.transport.publish(Publication("a", b"queued", 1))
            place.bus.start()
            await one.heard(b"queued")
            assert one.ears.connections == [False, False]
            assert dict(place.bus.retained) == {}

    run(test())


def test_an_isolated_client_stays_away_until_it_is_restored() -> None:
    async def test() -> None:
        place = MemoryPlace()
        async with clients(place, "one", backoff=QUICK, will=Publication("w", b"dead", retain=True)) as (one,):
            place.bus.isolate("one")
            assert place.bus.retained == {"w": b"dead"}
            await asyncio.sleep(0.1)
            assert one.ears.connections == [False]
            assert len(one.ears.outages) == 1
            place.bus.restore("one")
            await one.online(times=2)

    run(test())


def test_a_second_client_with_the_same_id_takes_the_session_over() -> None:
    async def test() -> None:
        place = MemoryPlace()
        async with clients(place, "one") as (first,):
            second = Client(place.transport("one"), Ears())
            await second.online()
            await first.ears.until(lambda ears: ears.outages == ["another client took the session over"])
            await second.close()

    run(test())


async def _storm(seed: int) -> tuple[list[bytes], list[bytes], int, int]:
    """Two clients over a bad link; what the other heard, how often connections broke, and how long it took."""
    bus = MemoryBus(seed=seed, faults=Faults(delay_s_max=0.002, cut_rate=0.02))
    place = MemoryPlace(bus)
    names = ("one", "two")
    one, two = (Client(place.transport(name, session_expiry_s=600, backoff=QUICK), Ears()) for name in names)
    two.transport.subscribe({"n/+": 1})
    await one.online()
    await two.online()
    for number in range(300):
        one.transport.publish(Publication("n/1", b"%d" % number, 1, number=number + 1))
        one.transport.publish(Publication("n/0", b"%d" % number, 0))
        if number % 10 == 0:
            await asyncio.sleep(0.001)
    await two.ears.until(lambda ears: any(payload == b"299" for topic, payload, *_ in ears.messages if topic == "n/1"))
    bus.faults = Faults()
    await one.ears.until(lambda ears: len(ears.confirmations) >= 300)
    assert one.ears.confirmations == list(range(1, 301))
    await one.close()
    await two.close()
    assured = [payload for topic, payload, *_ in two.ears.messages if topic == "n/1"]
    unassured = [payload for topic, payload, *_ in two.ears.messages if topic == "n/0"]
    return assured, unassured, len(one.ears.outages), len(two.ears.outages)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_over_a_bad_link_assured_messages_come_at_least_once_and_in_order(seed: int) -> None:
    assured, unassured, *outages = asyncio.run(_storm(seed))
    first_seen = list(dict.fromkeys(assured))
    assert first_seen == [b"%d" % number for number in range(300)]
    assert len(unassured) <= 300
    assert sum(outages) > 0
