"""Moments that an engine waits for: those that nobody waits for any more do not pile up."""

from edgematrix.runtime.engine import Engine


class Waiting:
    order = 0

    def __init__(self) -> None:
        self.until_us: int | None = None
        self.came: list[int] = []

    def due(self, due_us: int, now_us: int) -> None:
        if self.awaits(due_us):
            self.came.append(due_us)

    def awaits(self, due_us: int) -> bool:
        return due_us == self.until_us


def engine() -> Engine:
    return Engine("em", "home", new_id=str)


def test_moments_that_nobody_waits_for_are_forgotten() -> None:
    made, timer = engine(), Waiting()
    for due_us in range(1, 100_001):  # as a flow's deadline, whose runs are over long before
        timer.until_us = due_us
        made.schedule(timer, due_us)
    assert len(made._timers.waiting) < 10_000
    made.advance(200_000)
    assert timer.came == [100_000]


def test_no_moment_that_somebody_waits_for_is_forgotten() -> None:
    made = engine()
    timers = [Waiting() for _ in range(20_000)]
    for number, timer in enumerate(timers):
        timer.until_us = 20_000 - number
        made.schedule(timer, timer.until_us)
    assert made.deadline_us == 1
    made.advance(10_000)
    assert [len(timer.came) for timer in timers] == [0] * 10_000 + [1] * 10_000
