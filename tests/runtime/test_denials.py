"""What the broker's access list refuses a host is told, and is neither repeated for ever nor lost without a word."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from bus_fixtures import WAIT_S, Bus

from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.denials import Denials
from edgematrix.runtime.host import Host
from edgematrix.runtime.observation import DeadLettered, Dropped
from edgematrix.transport.memory import MemoryTransport
from edgematrix.transport.memory_bus import MemoryBus

MATRIX = """
matrix: home
agents:
  plain:
    triggers: {t: {mode: parallel, on: {v: {topic: t/plain}}, do: [{publish: {topic: t/one, payload: "${v.value}", qos: 1}}]}}
  sure:
    delivery: durable
    triggers: {t: {mode: parallel, on: {v: {topic: t/sure}}, do: [{publish: {topic: "t/to/${v.value}", payload: "${v.value}", qos: 1}}]}}
  teller:
    delivery: durable
    triggers: {t: {mode: parallel, on: {v: {topic: t/teller}}, do: [{send: {to: far.in, payload: "${v.value}"}}]}}
  far: {delivery: durable, inputs: {in: any}, triggers: {t: {on: {v: {from: self.in}}, do: [{emit: {out: "${v.value}"}}]}}}
"""
HERE = {AgentPath(f"home/{name}"): "pi" for name in ("plain", "sure", "teller")} | {AgentPath("home/far"): "other"}


def on_guarded_bus(folder: Path, denied: set[str], test: Callable[[Bus], Coroutine[Any, Any, None]]) -> None:
    """Run a test on a bus that refuses the host what `denied` holds."""

    def refuses(client_id: str, topic: str) -> str:
        return "Not authorized" if client_id == "em-pi" and topic in denied else ""

    bus = MemoryBus(refuses_publication=refuses)
    asyncio.run(test(Bus(lambda settings: MemoryTransport(bus, settings), folder)))


async def counted(host: Host, denials: int) -> None:
    async with asyncio.timeout(WAIT_S):
        while host.session.denials.count < denials:  # noqa: ASYNC110 - of what is refused nobody tells
            await asyncio.sleep(0.005)


def test_a_refused_publication_is_told_once_and_counted(tmp_path: Path) -> None:
    async def test(bus: Bus) -> None:
        async with bus.host(MATRIX, hosts=HERE) as (host, observations), bus.ear("t/#") as ear:
            for number in range(5):
                ear.say("t/plain", number)
            await counted(host, 5)
            denied.clear()
            ear.say("t/plain", 5)
            await ear.until(lambda: ear.on("t/one") == [5])
            drops = [seen.reason for seen in observations if type(seen) is Dropped and seen.topic == "t/one"]
            assert drops == ["the broker refused it: Not authorized"] * 5
            told = [text for text in bus.said if "t/one" in text]
            assert len(told) == 1
            assert "the broker refuses what pi publishes on t/one: " in told[0]
            assert "edgematrix acl" in told[0]

    denied = {"t/one"}
    on_guarded_bus(tmp_path, denied, test)


def test_what_a_durable_agent_publishes_and_may_not_is_a_dead_letter_and_holds_up_nothing(tmp_path: Path) -> None:
    async def test(bus: Bus) -> None:
        async with bus.host(MATRIX, hosts=HERE, store=True) as (host, observations), bus.ear("t/#", "em/dead/#") as ear:
            for value in (1, 2, 3):
                ear.say("t/sure", value)
            await ear.until(lambda: ear.on("t/to/3") == [3] and bool(ear.on("em/dead/home")))
            (letter,) = [seen for seen in observations if type(seen) is DeadLettered]
            assert (letter.topic, letter.reason) == ("t/to/2", "the broker refused it: Not authorized")
            assert ear.on("em/dead/home")[0]["data"]["payload"] == 2
            assert ear.on("t/to/2") == []
            assert host._courier is not None
            assert host._courier.lane.waiting == 0

    on_guarded_bus(tmp_path, {"t/to/2"}, test)


def test_what_is_for_a_durable_agent_elsewhere_waits_for_the_access_list_and_is_told(tmp_path: Path) -> None:
    async def test(bus: Bus) -> None:
        async with bus.host(MATRIX, hosts=HERE, store=True) as (host, _), bus.ear("t/#", "em/in/#") as ear:
            ear.say("t/teller", 7)
            await counted(host, 1)
            assert host._courier is not None
            assert host._courier.outbox.waiting == 1
            assert [text for text in bus.said if "em/in/home/far/in" in text] != []
            denied.clear()
            await ear.until(lambda: bool(ear.on("em/in/home/far/in")))
            assert ear.on("em/in/home/far/in")[0]["data"] == 7

    denied = {"em/in/home/far/in"}
    on_guarded_bus(tmp_path, denied, test)


def test_denials_are_told_again_each_minute_with_their_number() -> None:
    told: list[str] = []
    denials = Denials("pi", told.append)
    for second in range(130):
        denials.note("t/x", "no", second * 1_000_000)
    assert [text.partition(":")[0] for text in told] == [
        "the broker refuses what pi publishes on t/x",
        "the broker refuses what pi publishes on t/x, 60 times within a minute",
        "the broker refuses what pi publishes on t/x, 60 times within a minute",
    ]
    assert denials.count == 130


@pytest.mark.parametrize("topics", [21, 5_000])
def test_denials_on_many_topics_are_told_in_a_few_lines(topics: int) -> None:
    told: list[str] = []
    denials = Denials("pi", told.append)
    for number in range(topics):
        denials.note(f"t/{number}", "no", number)
    assert len(told) == 20
    denials.note("t/last", "no", 61_000_000)
    assert told[20].startswith(f"the broker refused {topics - 20} more messages of pi, on other topics")
    assert denials.count == topics + 1
