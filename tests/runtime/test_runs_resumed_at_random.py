"""Random agents of agents, all durable, whose host is killed again and again: they put out what they would have put out without."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from matrix_maker import REQUESTS_S, Maker, Outcomes, world_of

from edgematrix.protocol.duration import SECOND_US
from edgematrix.testing.recording import Recorded
from edgematrix.testing.simulator import Restart

SEEDS = st.integers(0, 2**32 - 1)
BREADTHS = st.integers(1, 4)
DEPTHS = st.integers(1, 4)
QUIET = settings(deadline=None, print_blob=True, suppress_health_check=list(HealthCheck))

STEADY = """

PERIOD_S = 7

async def until_next(context, tag):
    # To the same moment, however often it is begun anew: the clock is asked, and not how long it has waited. No two requests have
    # the same moments, for what happens at one instant comes in the order in which it was begun to be waited for.
    await asyncio.sleep(PERIOD_S - (context.now().timestamp() - (tag or 0) / 1000) % PERIOD_S)

async def steady(value: object, context) -> object:
    tags, tag, random = begun(value, context, "steady")
    if len(tags) > 1:
        raise AssertionError(f"mixed {tags}")
    what = random.randrange(8)
    if what == 0:
        await asyncio.Event().wait()
    if what == 1:
        await until_next(context, tag)
        raise ValueError("steady fails")
    if what == 2:
        await context.emit("extra", answer(tag, random))
        await context.emit("out", answer(tag, random))
        await context.emit("out", answer(tag, random))
        await until_next(context, tag)
        return None
    if what == 3:
        await context.publish(f"t/said/{context.path}", answer(tag, random))
        await until_next(context, tag)
        await context.publish(f"t/said/{context.path}", answer(tag, random))
        return answer(tag, random)
    if what == 4:
        return None
    if what > 5:
        await until_next(context, tag)
    return answer(tag, random)
"""


class SteadyMaker(Maker):
    """Makes matrices that do the same at the same moments, however often their host is killed."""

    def matrix(self) -> dict[str, Any]:
        return super().matrix() | {"defaults": {"delivery": "durable"}}

    def bounds(self) -> dict[str, Any]:
        found = super().bounds()
        if "retry" in found:
            found["retry"]["wait_jitter"] = "0s"  # it comes from the ids of runs, which differ
        return found

    def code(self, path: str) -> dict[str, Any]:
        agent = super().code(path)
        if agent["python"] == "members:slow":
            agent["python"] = "members:steady"
        return agent

    def pool(self, level: int, path: str) -> dict[str, Any]:
        made = super().pool(level, path)
        made["pool"].pop("key", None)  # which replica has which key is forgotten
        return made


def apart(said: list[Recorded]) -> list[Recorded]:
    """The same, but each request at a moment of its own."""
    moved = [replace(one, at_us=one.at_us + one.payload["tag"] * 1_009) if "/go/" in one.topic else one for one in said]
    return sorted(moved, key=lambda one: one.at_us)


def plain(value: Any) -> Any:
    """A payload without the ids of runs."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items() if key != "run"}
    return [plain(part) for part in value] if isinstance(value, list) else value


def said_by(played: Outcomes) -> Counter[str]:
    """All that agents have put out, with its moment."""
    topics = ("em/out/", "t/")
    return Counter(json.dumps([seen.at_us, seen.topic, plain(seen.payload)]) for seen in played.seen if seen.topic.startswith(topics))


def kills_of(random: Random) -> tuple[Restart, ...]:
    moments = sorted(random.sample(range(1, 2 * (REQUESTS_S + 60)), random.randint(1, 6)))
    return tuple(Restart(half * SECOND_US // 2 + random.choice([0, 1]) + (half % 14 == 0)) for half in moments)


def faults_of(seed: int, breadth: int, depth: int) -> list[str]:
    random = Random(seed)
    maker = SteadyMaker(random, breadth, depth)
    matrix = maker.matrix()
    said = apart(world_of(random, matrix, maker.people))
    kills = kills_of(random)
    note(json.dumps(matrix))
    note(str(kills))
    with tempfile.TemporaryDirectory() as folder:
        whole = Outcomes(Path(folder), matrix, said, more=STEADY)
        cut = Outcomes(Path(folder), matrix, said, kills, more=STEADY)
    before, after = said_by(whole), said_by(cut)
    lost, added = before - after, after - before
    faults = [f"lost: {text}" for text in lost] + [f"added: {text}" for text in added]
    return [*cut.left_over(), *cut.run_faults(), *faults]


@settings(QUIET, max_examples=60)
@given(SEEDS, BREADTHS, DEPTHS)
def test_what_is_put_out_is_that_of_a_host_that_never_went_down(seed: int, breadth: int, depth: int) -> None:
    assert faults_of(seed, breadth, depth) == []


@pytest.mark.slow
@settings(QUIET, max_examples=3_000)
@given(SEEDS, BREADTHS, DEPTHS)
def test_what_is_put_out_is_that_of_a_host_that_never_went_down_for_many(seed: int, breadth: int, depth: int) -> None:
    assert faults_of(seed, breadth, depth) == []
