"""The wall clock is set while a host runs: what waits goes on waiting, calendars go by the new time, nothing comes twice."""

import asyncio
from pathlib import Path

from bus_fixtures import open_bus

from edgematrix.protocol.duration import SECOND_US
from edgematrix.protocol.message import Message
from edgematrix.runtime.clock import PlayClock
from edgematrix.runtime.observation import Observation, Published

MATRIX = """
matrix: home
agents:
  rule:
    triggers:
      morning: {on: {t: {at: "07:00"}}, do: [{publish: {topic: t/morning, payload: "${now}"}}]}
      held: {on: {w: {topic: t/w, equals: open, for: 1h}}, do: [{publish: {topic: t/held, payload: 1}}]}
"""
MIDNIGHT_US = 1_767_225_600 * SECOND_US
HOUR_US = 3_600 * SECOND_US


class SetClock:
    """A timeline and a wall clock, both in the test's hand."""

    def __init__(self) -> None:
        self.timeline_us = self.wall = MIDNIGHT_US

    def now_us(self) -> int:
        return self.timeline_us

    def wall_us(self) -> int:
        return self.wall

    def wait_s(self, until_us: int) -> float:
        return (until_us - self.timeline_us) / SECOND_US

    def to_wall_us(self, at_us: int) -> int:
        return at_us + self.wall - self.timeline_us

    def from_wall_us(self, wall_us: int) -> int:
        return wall_us - self.wall + self.timeline_us

    def pass_us(self, length_us: int) -> None:
        self.timeline_us += length_us
        self.wall += length_us


def published(observations: list[Observation]) -> list[str]:
    told = [found.topic for found in observations if isinstance(found, Published)]
    observations.clear()
    return told


def after_steps(tmp_path: Path, *steps: tuple[str, int]) -> list[list[str]]:
    """What is published after each step: `pass` lets time pass, `set` sets the wall clock by so much."""

    async def main() -> list[list[str]]:
        async with open_bus("memory", tmp_path) as bus:
            clock = SetClock()
            host, observations = bus.make(MATRIX, clock=clock)
            engine = host.engine
            host.assembly.start({}, clock.now_us(), lambda key, error: None)
            engine.receive(Message("t/w", "open"), clock.now_us())
            told = []
            for kind, length_us in steps:
                if kind == "pass":
                    clock.pass_us(length_us)
                    engine.advance(clock.now_us())
                else:
                    clock.wall += length_us
                    host.check_clock()
                told.append(published(observations))
            return told

    return asyncio.run(main())


def test_without_a_step_each_comes_at_its_time(tmp_path: Path) -> None:
    assert after_steps(tmp_path, ("pass", HOUR_US - 1), ("pass", 1), ("pass", 6 * HOUR_US - 1), ("pass", 1)) == [
        [],
        ["t/held"],
        [],
        ["t/morning"],
    ]


def test_a_clock_set_forward_changes_no_waiting_and_the_calendar_goes_by_it(tmp_path: Path) -> None:
    steps = (("set", 5 * HOUR_US), ("pass", HOUR_US), ("pass", HOUR_US - 1), ("pass", 1))
    assert after_steps(tmp_path, *steps) == [[], ["t/held"], [], ["t/morning"]]


def test_a_clock_set_back_brings_nothing_twice(tmp_path: Path) -> None:
    steps = (("pass", 7 * HOUR_US), ("set", -HOUR_US // 2), ("pass", HOUR_US), ("pass", 23 * HOUR_US), ("pass", HOUR_US))
    assert after_steps(tmp_path, *steps) == [["t/held", "t/morning"], [], [], [], ["t/morning"]]


def test_a_time_that_was_stepped_over_by_less_than_the_grace_still_comes(tmp_path: Path) -> None:
    steps = (("pass", 7 * HOUR_US - 20 * SECOND_US), ("set", 30 * SECOND_US), ("pass", SECOND_US))
    assert after_steps(tmp_path, *steps) == [["t/held"], ["t/morning"], []]


def test_a_time_that_was_stepped_over_by_more_is_missed(tmp_path: Path) -> None:
    steps = (("pass", 6 * HOUR_US), ("set", 2 * HOUR_US), ("pass", 22 * HOUR_US), ("pass", HOUR_US))
    assert after_steps(tmp_path, *steps) == [["t/held"], [], [], ["t/morning"]]


def test_a_clock_in_a_hurry_and_the_walls_agree_on_every_moment() -> None:
    clock = PlayClock(speed=600, start_us=MIDNIGHT_US)
    now_us = clock.now_us()
    assert MIDNIGHT_US <= now_us < MIDNIGHT_US + 600 * SECOND_US
    assert clock.wait_s(now_us + 600 * SECOND_US) <= 1.0
    hour_later_us = clock.to_wall_us(MIDNIGHT_US + HOUR_US)
    assert hour_later_us - clock.to_wall_us(MIDNIGHT_US) == 6 * SECOND_US
    assert clock.from_wall_us(hour_later_us) == MIDNIGHT_US + HOUR_US
