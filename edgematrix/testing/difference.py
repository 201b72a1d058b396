"""What two matrices did otherwise with the same input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgematrix.testing.comparison import compare
from edgematrix.testing.simulator import Seen

__all__ = ["Difference", "differences"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One publication that is only on one side, or not the same on both. `at_us` counts from the start."""

    at_us: int
    topic: str
    old: Seen | None
    new: Seen | None


@dataclass(frozen=True, slots=True)
class _Before:
    """What was published before, as what is expected now."""

    at: int
    topic: str
    payload: object
    retain: bool
    qos: int
    seen: Seen


def differences(old: Sequence[Seen], new: Sequence[Seen]) -> list[Difference]:
    """What is not on both sides, in order of time; both sides are in order of time.

    Within one moment the order counts: what only changed its place is on each side alone.
    """
    before = [_Before(seen.at_us, seen.topic, seen.payload, seen.retain, seen.qos, seen) for seen in old]
    found: list[Difference] = []
    for row in compare(before, new).rows:
        was = row.expected.seen if isinstance(row.expected, _Before) else None
        either = was or row.seen
        if not row.same and either is not None:
            found.append(Difference(either.at_us, either.topic, was, row.seen))
    return found
