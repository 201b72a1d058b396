"""The wall clock is set by hours and days while a host runs: what waits comes at its moment, once; a calendar's time comes once."""

from __future__ import annotations

import asyncio
import random
from bisect import insort
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from edgematrix.protocol.duration import SECOND_US
from edgematrix.protocol.message import Message
from edgematrix.runtime.observation import Published
from tests.runtime.bus_fixtures import open_bus

MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
START_US = 1_767_225_600 * SECOND_US
END_US = START_US + 3 * DAY_US
GRACE_US = MINUTE_US
STEPS_US = (HOUR_US, -HOUR_US, DAY_US, -DAY_US, 30 * SECOND_US, -30 * SECOND_US)

MATRIX = """
matrix: home
agents:
  waits:
    triggers:
      grid: {on: {t: {every: 17m}}, do: [{publish: {topic: t/grid}}]}
      held: {on: {w: {topic: in/level, equals: 1, for: 40m}}, do: [{publish: {topic: t/held}}]}
      silent: {on: {w: {topic: in/rare, absent: 3h}}, do: [{publish: {topic: t/silent}}]}
      late: {on: {a: {topic: in/a}, b: {topic: in/never}}, timeout: 50m, on_timeout: fire, do: [{publish: {topic: t/late}}]}
      delayed: {mode: parallel, max: 100, on: {a: {topic: in/a}}, do: [{delay: 90m}, {publish: {topic: t/delayed}}]}
      calm: {on: {a: {topic: in/a}}, debounce: 25m, do: [{publish: {topic: t/calm}}]}
      paced: {on: {a: {topic: in/a}}, throttle: 35m, do: [{publish: {topic: t/paced}}]}
      cool: {on: {a: {topic: in/a}}, cooldown: 45m, do: [{publish: {topic: t/cool}}]}
      limited: {on: {a: {topic: in/a}}, limit: {count: 2, per: 2h}, do: [{publish: {topic: t/limited}}]}
"""
CALENDAR = """
matrix: home
agents:
  days:
    triggers:
      hourly: {on: {t: {cron: "20 * * * *"}}, do: [{publish: {topic: t/hourly}}]}
      daily: {on: {t: {at: "07:00"}}, do: [{publish: {topic: t/daily}}]}
"""


class SteppedClock:
    """A timeline that goes on, and a wall clock that somebody sets."""

    def __init__(self) -> None:
        self.timeline_us = START_US
        self.ahead_us = 0

    def now_us(self) -> int:
        return self.timeline_us

    def wall_us(self) -> int:
        return self.timeline_us + self.ahead_us

    def wait_s(self, until_us: int) -> float:
        return (until_us - self.timeline_us) / SECOND_US

    def to_wall_us(self, at_us: int) -> int:
        return at_us + self.ahead_us

    def from_wall_us(self, wall_us: int) -> int:
        return wall_us - self.ahead_us


def play(
    folder: Path, matrix: str, steps: Sequence[tuple[int, int]], inputs: Sequence[tuple[int, str, int]] = ()
) -> list[tuple[int, int, str]]:
    """What is published: on the timeline, by the wall clock, and the topic. `steps` and `inputs` are at moments of the timeline."""

    async def main() -> list[tuple[int, int, str]]:
        async with open_bus("memory", folder) as bus:
            clock = SteppedClock()
            host, observations = bus.make(matrix, clock=clock)
            engine = host.engine
            host.assembly.start({}, clock.now_us(), lambda key, error: None)
            script: list[tuple[int, int, object]] = []
            for number, (at_us, length_us) in enumerate(steps):
                insort(script, (at_us, number, length_us))
            for number, (at_us, topic, value) in enumerate(inputs, len(steps)):
                insort(script, (at_us, number, (topic, value)))
            told: list[tuple[int, int, str]] = []

            def note() -> None:
                told.extend((clock.now_us(), clock.wall_us(), seen.topic) for seen in observations if isinstance(seen, Published))
                observations.clear()

            for at_us, _, what in [*script, (END_US, -1, None)]:
                while (due_us := engine.deadline_us) is not None and due_us <= at_us:
                    clock.timeline_us = max(due_us, clock.timeline_us)
                    engine.advance(clock.now_us())
                    note()
                clock.timeline_us = at_us
                if isinstance(what, int):
                    clock.ahead_us += what
                    host.check_clock()
                elif isinstance(what, tuple):
                    engine.receive(Message(*what), at_us)
                note()
            return told

    return asyncio.run(main())


def drawn_steps(chance: random.Random) -> list[tuple[int, int]]:
    """Steps at any moment; none leads further back than a day behind where the wall clock has been."""
    moments = sorted(_moment(chance) for _ in range(chance.randint(1, 6)))
    ahead_us, newest_us, steps = 0, START_US, []
    for at_us in moments:
        newest_us = max(newest_us, at_us + ahead_us)
        allowed = [length_us for length_us in STEPS_US if at_us + ahead_us + length_us >= newest_us - DAY_US]
        length_us = chance.choice(allowed)
        ahead_us += length_us
        steps.append((at_us, length_us))
    return steps


def _moment(chance: random.Random) -> int:
    """Any, or one close to the time of a calendar: whole hours of steps lead there again."""
    if chance.random() < 0.5:
        return chance.randrange(START_US, END_US)
    return START_US + chance.randrange(71) * HOUR_US + 20 * MINUTE_US + chance.randrange(-MINUTE_US, MINUTE_US)


def drawn_inputs(chance: random.Random) -> list[tuple[int, str, int]]:
    return [
        (chance.randrange(START_US, END_US), topic, value)
        for topic, value, count in (("in/a", 1, 60), ("in/level", 0, 15), ("in/level", 1, 15), ("in/rare", 1, 8))
        for _ in range(count)
    ]


def ticks_expected(steps: Sequence[tuple[int, int]], offset_us: int, every_us: int) -> Counter[int]:
    """The times of a calendar that are to come, by the wall clock.

    One comes when the wall clock gets there by itself for the first time. Of those that a step passes over the last comes, if it
    is less than the grace ago.
    """
    found: Counter[int] = Counter()
    wall_us = newest_us = START_US
    at_us = START_US
    for step_at_us, length_us in [*steps, (END_US, 0)]:
        reached_us = wall_us + step_at_us - at_us
        found.update(_ticks(max(newest_us, wall_us), reached_us, offset_us, every_us))
        newest_us = max(newest_us, reached_us)
        wall_us, at_us = reached_us + length_us, step_at_us
        passed = _ticks(newest_us, wall_us, offset_us, every_us)
        if passed and wall_us - passed[-1] < GRACE_US:
            found[passed[-1]] += 1
        newest_us = max(newest_us, wall_us)
    return found


def _ticks(after_us: int, until_us: int, offset_us: int, every_us: int) -> list[int]:
    first = (after_us - START_US - offset_us) // every_us + 1
    last = (until_us - START_US - offset_us) // every_us
    return [START_US + offset_us + number * every_us for number in range(first, last + 1)]


def check_waits(folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    steps, inputs = drawn_steps(chance), drawn_inputs(chance)
    calm = [(at_us, topic) for at_us, _, topic in play(folder, MATRIX, [], inputs)]
    assert len({topic for _, topic in calm}) == 9, calm
    stepped = [(at_us, topic) for at_us, _, topic in play(folder, MATRIX, steps, inputs)]
    assert stepped == calm, f"seed {seed}: {steps}"


def check_calendar(folder: Path, seed: int) -> None:
    steps = drawn_steps(random.Random(seed))
    told = play(folder, CALENDAR, steps)
    for topic, offset_us, every_us in (("t/hourly", 20 * MINUTE_US, HOUR_US), ("t/daily", 7 * HOUR_US, DAY_US)):
        seen = Counter((wall_us - START_US - offset_us) // every_us for _, wall_us, heard in told if heard == topic)
        expected = Counter((tick_us - START_US - offset_us) // every_us for tick_us in ticks_expected(steps, offset_us, every_us))
        assert seen == expected, f"seed {seed}: {topic}: {steps}"


@pytest.mark.parametrize("seed", range(6))
def test_what_waits_comes_at_its_moment_however_the_clock_is_set(tmp_path: Path, seed: int) -> None:
    check_waits(tmp_path, seed)


@pytest.mark.parametrize("seed", range(12))
def test_the_times_of_a_calendar_come_once_however_the_clock_is_set(tmp_path: Path, seed: int) -> None:
    check_calendar(tmp_path, seed)


@pytest.mark.slow
def test_no_timer_is_missed_or_doubled_over_many_seeds(tmp_path: Path) -> None:
    for seed in range(100, 400):
        check_calendar(tmp_path, seed)
        if seed % 5 == 0:
            check_waits(tmp_path, seed)
