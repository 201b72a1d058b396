"""The one suite, on the brokers of each profile that can be started here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from behaviour import TransportBehaviour
from broker_process import skip_without
from broker_profile import ProfileProcess
from listening import Client, Ears, run
from real_broker import BrokerPlace

from edgematrix.protocol.message import Publication
from edgematrix.transport.paho import PahoTransport

pytestmark = pytest.mark.slow  # the same brokers in their plainest form are in the default run


class Bus:
    """What a `BrokerPlace` wants to know of a broker."""

    def __init__(self, url: str) -> None:
        self.url = url


class SharedPlace(BrokerPlace):
    """A bus for many tests: each leaves it as it found it."""

    def __init__(self, url: str) -> None:
        super().__init__(Bus(url))  # type: ignore[arg-type]
        self._names: set[str] = set()

    def transport(self, name: str, *, url: str | None = None, **settings: Any) -> PahoTransport:
        self._names.add(name)
        return super().transport(name, url=url, **settings)

    async def clear(self) -> None:
        """Forget sessions and retained messages."""
        for name in self._names:
            one = Client(super().transport(name), Ears())
            await one.online()
            if name == "one":
                one.transport.subscribe({"#": 0})
                await self.settled(one)
                for topic in {topic for topic, _, _, retained in one.ears.messages if retained}:
                    one.transport.publish(Publication(topic, b"", 1, retain=True))
            await one.close()
        self._names.clear()


def shared(url: str) -> Iterator[SharedPlace]:
    place = SharedPlace(url)
    yield place
    run(place.clear())


@contextmanager
def brokers(profile: str, folder: Path, up: int = 1) -> Iterator[ProfileProcess]:
    running = ProfileProcess(profile, folder)
    try:
        running.start(up)
        yield running
        assert running.stop() == 0
    finally:
        running.stop()


@pytest.fixture(scope="module")
def one_mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    skip_without("mosquitto")
    with brokers("mosquitto", tmp_path_factory.mktemp("mosquitto")) as running:
        yield running.urls["mosquitto"]


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    skip_without("mosquitto")
    with brokers("mosquitto-bridge", tmp_path_factory.mktemp("bridge"), up=2) as running:
        yield running.urls["edge"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    skip_without("nats")
    with brokers("nats-cluster", tmp_path_factory.mktemp("cluster")) as running:
        yield running.urls["nats-cluster"]


class TestMosquitto(TransportBehaviour):
    @pytest.fixture
    def place(self, one_mosquitto: str) -> Iterator[SharedPlace]:
        yield from shared(one_mosquitto)


class TestEdgeOfABridge(TransportBehaviour):
    """The edge is a bus like any other; the centre hears with it."""

    @pytest.fixture
    def place(self, edge: str) -> Iterator[SharedPlace]:
        yield from shared(edge)


class TestNatsCluster(TransportBehaviour):
    """MQTT 3.1.1 only, with a copy for each filter."""

    expires = False
    redelivers_first = False
    knows_no_local = False

    @pytest.fixture
    def place(self, cluster: str) -> Iterator[SharedPlace]:
        yield from shared(cluster)
