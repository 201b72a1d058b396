"""A host that has nothing to run: what it takes, what it leaves, and that it says when it goes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

import msgspec

from edgematrix.config.deployed import deployment_of
from edgematrix.config.exchange import load
from edgematrix.hosting.capability import Capability
from edgematrix.hosting.manifest import encode_manifest
from edgematrix.hosting.revision import Deployment
from edgematrix.protocol.message import Publication
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.ports import Link
from edgematrix.runtime.birth import Announcer
from edgematrix.runtime.waiting import Waiting

RULE = {"triggers": {"t": {"on": {"v": {"topic": "t/v"}}, "do": [{"publish": {"topic": "t/o", "payload": 1}}]}}}


class Wire:
    """A transport in the hands of a test."""

    receipt = 0

    def __init__(self) -> None:
        self.said: list[dict[str, object]] = []
        self.filters: dict[str, int] = {}
        self._closed = asyncio.Event()

    async def run(self, link: Link) -> None:
        del link
        await self._closed.wait()

    async def close(self) -> None:
        self._closed.set()

    def publish(self, publication: Publication) -> None:
        self.said.append(msgspec.json.decode(publication.payload))

    def subscribe(self, filters: Mapping[str, int]) -> None:
        self.filters.update(filters)

    def unsubscribe(self, filters: Iterable[str]) -> None:
        for topic_filter in filters:
            del self.filters[topic_filter]

    def acknowledge(self, receipt: int) -> None:
        raise AssertionError

    def counts(self) -> Mapping[str, int]:
        return {}


def waiting(wire: Wire, notes: list[str], declined: Deployment | None = None, matrix: str = "") -> Waiting:
    announcer = Announcer("a", "s1", "2026-01-01T00:00:00Z", "1.0", Capability(), lambda: 0.0)
    return Waiting(wire, announcer, root="em", name="a", matrix=matrix, declined=lambda found: found == declined, changed=notes.append)


def deployment(host: str, matrix: str = "home", revision: int = 1) -> Deployment:
    spec = load({"matrix": matrix, "agents": {"one": RULE}})
    return deployment_of(spec, {AgentPath(f"{matrix}/one"): (host,)}, revision, "me")


def tell(host: Waiting, found: Deployment) -> None:
    matrix = found.manifest.matrix
    host.received(f"em/spec/{matrix}", encode_manifest(found.manifest), 1, True)
    for path, data in found.definitions.items():
        host.received(f"em/spec/{path}", data, 1, True)


async def outcome(host: Waiting) -> Deployment | None:
    async with asyncio.timeout(60):
        return await host.run()


def test_it_takes_the_first_deployment_with_something_for_it() -> None:
    async def play() -> None:
        wire, notes = Wire(), list[str]()
        host = waiting(wire, notes)
        host.connected(False)
        tell(host, deployment("b", "other"))
        tell(host, deployment("a", "home"))
        assert await outcome(host) == deployment("a", "home")
        assert set(wire.filters) == {"em/spec/+", "em/host/a"}
        assert [said["status"] for said in wire.said] == ["online"]

    asyncio.run(play())


def test_what_it_has_refused_it_does_not_take_again() -> None:
    async def play() -> None:
        wire, notes = Wire(), list[str]()
        host = waiting(wire, notes, declined=deployment("a"), matrix="home")
        host.connected(False)
        tell(host, deployment("a"))
        running = asyncio.create_task(outcome(host))
        tell(host, deployment("a", revision=2))
        assert await running == deployment("a", revision=2)
        assert set(wire.filters) == {"em/spec/home", "em/host/a"}

    asyncio.run(play())


def test_it_says_when_it_goes_and_waits_for_the_broker_to_say_so() -> None:
    async def play() -> None:
        wire, notes = Wire(), list[str]()
        host = waiting(wire, notes)
        host.stop()
        running = asyncio.create_task(outcome(host))
        await asyncio.sleep(0)
        assert wire.said == []
        host.connected(False)
        assert await running is None
        assert [said["status"] for said in wire.said] == ["offline"]

    asyncio.run(play())


def test_a_manifest_that_it_cannot_read_is_told() -> None:
    async def play() -> None:
        wire, notes = Wire(), list[str]()
        host = waiting(wire, notes)
        host.connected(False)
        plain = msgspec.json.decode(encode_manifest(deployment("a", revision=4).manifest))
        host.received("em/spec/home", msgspec.json.encode({**plain, "protocol": 9}), 1, True)
        assert wire.said[-1]["refused"] == {"revision": 4, "reason": notes[-1]}
        assert "for hosts of the protocol version 9" in notes[-1]
        host.stop()
        assert await outcome(host) is None

    asyncio.run(play())
