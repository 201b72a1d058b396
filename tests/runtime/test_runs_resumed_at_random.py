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
from live_support import asked
from matrix_maker import REQUESTS_S, Maker, Outcomes, world_of

from edgematrix.protocol.duration import SECOND_US
from edgematrix.runtime.observation import Fired, Noted, RunEnded
from edgematrix.testing.recording import Recorded
from edgematrix.testing.simulator import START_US, Restart

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

async def calling(value: object, context) -> object:
    tags, tag, random = begun(value, context, "calling")
    if len(tags) > 1:
        raise AssertionError(f"mixed {tags}")
    what, to = random.randrange(4), f"/{context.path}/c.in"
    if what == 0:
        await context.call(to, value)
        await context.call(to, value)
        await until_next(context, tag)  # the last thing to wait for, for it begins anew
    elif what == 1:
        await asyncio.gather(context.call(to, value), context.call(to, value))
    elif what == 2:
        try:
            await context.call(to, value, timeout=3)
        except Exception:
            await context.publish(f"t/said/{context.path}", answer(tag, random))
    else:
        beside = asyncio.create_task(context.call(to, value))
        await until_next(context, tag)
        del beside
    return answer(tag, random)

async def tardy(value: object, context) -> object:
    # Begun anew, it comes to its calls later than it did before.
    await until_next(context, begun(value, context, "tardy")[1])
    return await calling(value, context)
"""


class SteadyMaker(Maker):
    """Makes matrices that do the same at the same moments, however often their host is killed."""

    calling = "members:calling"

    def __init__(self, random: Random, breadth: int, depth: int) -> None:
        super().__init__(random, breadth, depth)
        self.crowded = self.chance(0.4)
        """Whether deadlines and time-outs are few, so that much comes to its end at one instant."""

    def matrix(self) -> dict[str, Any]:
        return super().matrix() | {"defaults": {"delivery": "durable"}}

    def bounds(self) -> dict[str, Any]:
        found = super().bounds()
        if "retry" in found:
            found["retry"]["wait_jitter"] = "0s"  # it comes from the ids of runs, which differ
        if self.crowded and self.chance(0.5):
            found["deadline"] = self.random.choice(["1s", "2s"])
        return found

    def person(self, path: str) -> dict[str, Any]:
        made = super().person(path)
        if self.crowded:
            made["human"]["timeout"] = self.random.choice(["1s", "2s"])
        return made

    def code(self, path: str) -> dict[str, Any]:
        agent = super().code(path)
        if agent["python"] == "members:slow":
            agent["python"] = "members:steady"
            if self.chance(0.4):
                agent |= {"python": self.calling, "agents": {"c": self.random.choice([self.rule, self.person])(f"{path}/c")}}
        return agent

    def pool(self, level: int, path: str) -> dict[str, Any]:
        made = super().pool(level, path)
        made["pool"].pop("key", None)  # which replica has which key is forgotten
        return made


class TardyMaker(SteadyMaker):
    """Makes matrices that are late when their host was killed."""

    calling = "members:tardy"


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


def orders_of(random: Random, whole: Outcomes, kills: tuple[Restart, ...]) -> list[Recorded]:
    """What an operator does meanwhile: a run that began before the first kill is cancelled, parts are paused, taken out, doubled."""
    began = {(run.path, run.group, run.run): run for run in whole.of(Fired)}
    first_us, said = START_US + kills[0].at_us, []
    ends = [ended for ended in whole.of(RunEnded) if began[ended.path, ended.group, ended.run].at_us < first_us < ended.at_us]
    if ends and random.random() < 0.8:
        ended = random.choice(ends)  # the ids of those that began later are others
        at_us = random.randrange(first_us, ended.at_us) - START_US
        said.append(Recorded(at_us, *asked("cancel", random.choice([ended.path, "home"]), run=ended.runid)))
    paths = sorted({run.path for run in began.values()})
    for _ in range(random.randrange(3) if paths else 0):
        path, at_us = random.choice(paths), random.randrange(REQUESTS_S) * SECOND_US + 500_003
        verb = random.choice(["pause", "remove", "duplicate", "pause"])
        more = {"to": f"{path}-{at_us // SECOND_US}"} if verb == "duplicate" else {}
        said.append(Recorded(at_us, *asked(verb, path, **more)))
        if verb == "pause":
            said.append(Recorded(at_us + random.randrange(30) * SECOND_US, *asked("resume", path)))
    return said


def asked_again(played: Outcomes) -> list[str]:
    """Questions that were asked more than once in one attempt of a run."""
    asked = Counter((seen.topic, seen.payload["run"]) for seen in played.seen if seen.topic.endswith("/ask"))
    again = Counter((f"em/out/{noted.path}/ask", noted.runid) for noted in played.of(Noted) if str(noted.what).startswith("attempt "))
    return [f"asked {count} times: {question}" for question, count in asked.items() if count > 1 + again[question]]


def faults_under_orders(seed: int, breadth: int, depth: int) -> list[str]:
    """Orders come, too."""
    random = Random(seed)
    maker = SteadyMaker(random, breadth, depth)
    matrix = maker.matrix()
    said = apart(world_of(random, matrix, maker.people))
    kills = kills_of(random)
    note(json.dumps(matrix))
    with tempfile.TemporaryDirectory() as folder:
        whole = Outcomes(Path(folder), matrix, said, more=STEADY)
        said = sorted([*said, *orders_of(random, whole, kills)], key=lambda recorded: recorded.at_us)
        note(str((kills, [one for one in said if one.topic.startswith("em/op")])))
        whole = Outcomes(Path(folder), matrix, said, more=STEADY)
        cut = Outcomes(Path(folder), matrix, said, kills, more=STEADY)
    before, after = said_by(whole), said_by(cut)
    lost, added = before - after, after - before
    faults = [f"lost: {text}" for text in lost] + [f"added: {text}" for text in added]
    return [*cut.left_over(), *cut.run_faults(), *asked_again(cut), *faults]


def faults_when_down(seed: int, breadth: int, depth: int) -> list[str]:
    """The host is down for a while each time: what is due meanwhile comes late, and all ends once all the same."""
    random = Random(seed)
    maker = TardyMaker(random, breadth, depth)
    matrix = maker.matrix()
    said = world_of(random, matrix, maker.people)
    kills = tuple(replace(kill, down_us=random.choice([0, 1, 3, 20, 100]) * SECOND_US) for kill in kills_of(random)[::2])
    note(json.dumps(matrix))
    note(str(kills))
    with tempfile.TemporaryDirectory() as folder:
        cut = Outcomes(Path(folder), matrix, said, kills, more=STEADY)
    return [*cut.left_over(), *cut.run_faults(), *asked_again(cut)]


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
    return [*cut.left_over(), *cut.run_faults(), *asked_again(cut), *faults]


@settings(QUIET, max_examples=60)
@given(SEEDS, BREADTHS, DEPTHS)
def test_what_is_put_out_is_that_of_a_host_that_never_went_down(seed: int, breadth: int, depth: int) -> None:
    assert faults_of(seed, breadth, depth) == []


@settings(QUIET, max_examples=30)
@given(SEEDS, BREADTHS, DEPTHS)
def test_what_is_ordered_comes_to_the_same(seed: int, breadth: int, depth: int) -> None:
    assert faults_under_orders(seed, breadth, depth) == []


@settings(QUIET, max_examples=30)
@given(SEEDS, BREADTHS, DEPTHS)
def test_nobody_is_asked_again_and_nothing_is_left_of_a_host_that_was_down(seed: int, breadth: int, depth: int) -> None:
    assert faults_when_down(seed, breadth, depth) == []


@pytest.mark.slow
@settings(QUIET, max_examples=3_000)
@given(SEEDS, BREADTHS, DEPTHS)
def test_what_is_put_out_is_that_of_a_host_that_never_went_down_for_many(seed: int, breadth: int, depth: int) -> None:
    assert faults_of(seed, breadth, depth) + faults_under_orders(seed, breadth, depth) + faults_when_down(seed, breadth, depth) == []
