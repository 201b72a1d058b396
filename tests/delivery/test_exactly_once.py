"""Whatever the network loses and whenever a process dies: every receiver has each event once, in order, and the sender drains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import hypothesis.strategies as st
from delivery_world import EDGES, World
from hypothesis import given, settings

if TYPE_CHECKING:
    from collections.abc import Callable

PATHS = ("home/b", "home/c", "home/d")
NAMES = tuple(EDGES)
STEPS: dict[str, Callable[[World, int], None]] = {
    "put": lambda world, n: world.put(NAMES[n % 2]),
    "put many": lambda world, n: [world.put(NAMES[n % 2]) for _ in range(n % 12)],  # type: ignore[dict-item, return-value, func-returns-value]
    "save": lambda world, _: world.save_sender(),
    "saved": lambda world, _: world.sender_saved(),
    "pump": lambda world, _: world.pump(),
    "deliver": lambda world, n: world.deliver(n % 3),
    "deliver many": lambda world, n: [world.deliver(0) for _ in range(n)],  # type: ignore[dict-item, return-value, func-returns-value]
    "deliver anything": lambda world, n: world.deliver(n),
    "lose": lambda world, n: world.lose(n),
    "repeat": lambda world, n: world.repeat(n),
    "save receiver": lambda world, n: world.receivers[PATHS[n % 3]].save(),
    "receiver saved": lambda world, n: world.receivers[PATHS[n % 3]].saved(),
    "answer": lambda world, n: world.answer(PATHS[n % 3]),
    "answer everything": lambda world, n: world.answer(PATHS[n % 3], everything=True),
    "hear": lambda world, n: world.hear(n % 3),
    "hear anything": lambda world, n: world.hear(n),
    "lose answer": lambda world, n: world.lose_answer(n),
    "repeat answer": lambda world, n: world.repeat_answer(n),
    "link": lambda world, _: world.link(),
    "unlink": lambda world, _: world.unlink(),
    "wait": lambda world, n: world.wait(n),
    "crash sender": lambda world, n: world.crash_sender(written=n % 2 == 0),
    "crash receiver": lambda world, n: world.receivers[PATHS[n % 3]].crash(written=n % 2 == 0),
    "round": lambda world, n: world.round(n),
}
RARE_STEPS: dict[str, Callable[[World, int], None]] = {
    "join or leave": lambda world, n: world.ask(NAMES[0], PATHS[n % 3]),
    "raise epoch": lambda world, n: world.raise_epoch(1 + n % 3),
    "lose receiver's store": lambda world, n: world.lose_receiver_store(PATHS[n % 3]),
    "move receiver": lambda world, n: world.move_receiver(PATHS[n % 3]),
    "lose sender's store": lambda world, _: world.lose_sender_store(),
}
ALL_STEPS = STEPS | RARE_STEPS
EPOCHS = st.sampled_from([[100], [100, 200], [200, 100], [100, 50, 300]])


def play(epochs: list[int], steps: list[tuple[str, int]], window_max: int = 8) -> World:
    world = World(list(epochs), window_max)
    for name, number in steps:
        ALL_STEPS[name](world, number)
        world.check()
    world.drain()
    return world


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 40)), max_size=120))
def test_who_keeps_its_store_has_each_event_once_and_in_order(steps: list[tuple[str, int]]) -> None:
    world = play([100], steps)
    for path, edge in (("home/b", NAMES[0]), ("home/c", NAMES[0]), ("home/b", NAMES[1])):
        assert world.receivers[path].had_on_disk.get(edge, []) == world.put_on_disk[edge]


@settings(max_examples=150, deadline=None)
@given(EPOCHS, st.lists(st.tuples(st.sampled_from(sorted(ALL_STEPS)), st.integers(0, 40)), max_size=120))
def test_receivers_and_senders_that_join_move_or_begin_anew_get_on(epochs: list[int], steps: list[tuple[str, int]]) -> None:
    play(epochs, steps)
