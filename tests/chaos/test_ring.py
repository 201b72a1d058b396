"""Agents on two hosts that trigger one another for ever: stopped, and told."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest

from edgematrix.protocol.limits import Limits
from edgematrix.protocol.message import Publication
from tests.chaos.in_memory import Disk, World

RING = """
matrix: chaos
agents:
  ping:
    host: a
    delivery: {delivery}
    triggers:
      t:
        mode: parallel
        rate_max: none
        need: any
        on: {{back: {{from: pong}}, kick: {{topic: t/kick, qos: 1}}}}
        do: [{{emit: {{out: 1}}}}]
  pong:
    host: b
    delivery: {delivery}
    triggers:
      t:
        mode: parallel
        rate_max: none
        on: {{there: {{from: ping}}}}
        do: [{{emit: {{out: 1}}}}, {{publish: {{topic: t/round, payload: 1}}}}]
"""
FOREIGN = """
matrix: chaos
agents:
  ping:
    host: a
    triggers: {t: {mode: parallel, rate_max: 20, on: {b: {topic: t/round}}, do: [{publish: {topic: t/there, payload: 1}}]}}
  pong:
    host: b
    triggers: {t: {mode: parallel, rate_max: 20, on: {a: {topic: t/there}}, do: [{publish: {topic: t/round, payload: 1}}]}}
"""
WAIT_S = 20.0
WATCHED_S = 2.5


class Ear:
    """Counts what comes on each topic."""

    def __init__(self, world: World) -> None:
        self.heard: Counter[str] = Counter()
        self.dead: list[str] = []
        self._transport = world.transport
        self._transport.subscribe({"t/#": 1, "em/dead/#": 1, "em/state/#": 1})

    def received(self, topic: str, payload: bytes, qos: int, retained: bool) -> None:
        self.heard[topic] += 1
        if topic.startswith("em/dead/"):
            self.dead.append(json.loads(payload)["data"]["reason"])

    def connected(self, session_present: bool) -> None: ...

    def disconnected(self, reason: str) -> None: ...

    def refused(self, topic_filter: str, reason: str) -> None: ...

    def dropped(self, topic: str, reason: str) -> None: ...

    def confirmed(self, number: int) -> None: ...

    @property
    def is_ready(self) -> bool:
        return {"em/state/chaos/ping", "em/state/chaos/pong"} <= self.heard.keys()

    def say(self, topic: str) -> None:
        self._transport.publish(Publication(topic, b"1", 1))


async def kicked(folder: Path, matrix: str, topic: str, watched_s: float) -> Ear:
    """What is heard after one message on a topic: until something is dead, or for so long."""
    (folder / "ring.yaml").write_text(matrix)
    world = World(folder / "ring.yaml", {"a": Disk(), "b": Disk()})
    ear = Ear(world)
    await asyncio.gather(world.run(ear, lambda: bool(ear.dead), watched_s), _kick(ear, topic))
    return ear


async def _kick(ear: Ear, topic: str) -> None:
    async with asyncio.timeout(WAIT_S):
        while not ear.is_ready:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
    ear.say(topic)


@pytest.mark.parametrize("delivery", ["best_effort", "durable"])
def test_a_ring_of_outputs_ends_by_its_hops(tmp_path: Path, delivery: str) -> None:
    ear = asyncio.run(kicked(tmp_path, RING.format(delivery=delivery), "t/kick", WAIT_S))
    (reason,) = ear.dead
    hops_max = Limits().hops_max
    assert f"hops_max is {hops_max}" in reason
    assert "chaos/ping" in reason
    assert hops_max // 2 - 1 <= ear.heard["t/round"] <= hops_max


def test_a_ring_over_foreign_topics_is_slowed_to_the_rate_of_its_groups(tmp_path: Path) -> None:
    ear = asyncio.run(kicked(tmp_path, FOREIGN, "t/there", WATCHED_S))
    assert 10 <= ear.heard["t/round"] <= 20 * (WATCHED_S + 1)
