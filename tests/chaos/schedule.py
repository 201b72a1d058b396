"""Which program is killed when: drawn from a seed, and told in messages and not in seconds, so that it is bounded and can be repeated."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Kill", "draw"]

_AT_ONCE = 0.2
_AGAIN = 0.15
_DOWN_MAX_S = 0.4
_AGAIN_MAX_S = 1.0


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill -9.

    `at` is how many messages have come through when it strikes; `down_s` is how long the program stays down. `again_s`: it is
    a second one, which strikes that long after the program was started again, so that it may be in the middle of its recovery.
    """

    at: int
    victim: str
    down_s: float
    again_s: float | None = None


def draw(seed: int, messages: int, kills: int, victims: Sequence[str]) -> list[Kill]:
    """The kills of a run, in order. Some strike two programs at once, some the same one twice."""
    chance = random.Random(f"kills {seed}")
    drawn: list[Kill] = []
    while len(drawn) < kills:
        at = chance.randrange(messages // 50, messages - messages // 50)
        first = chance.choice(victims)
        drawn.append(Kill(at, first, chance.uniform(0, _DOWN_MAX_S)))
        kind = chance.random()
        if kind < _AT_ONCE:
            others = [victim for victim in victims if victim != first]
            drawn.append(Kill(at, chance.choice(others or victims), chance.uniform(0, _DOWN_MAX_S)))
        elif kind < _AT_ONCE + _AGAIN:
            drawn.append(Kill(at, first, chance.uniform(0, _DOWN_MAX_S), chance.uniform(0, _AGAIN_MAX_S)))
    del drawn[kills:]
    drawn.sort(key=lambda kill: kill.at)
    return drawn
