"""What was expected beside what was seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Protocol

from edgematrix.protocol.codec import encode_value
from edgematrix.protocol.duration import SECOND_US
from edgematrix.testing.simulator import Seen

__all__ = ["Comparison", "Expected", "Row", "compare"]


class Expected(Protocol):
    """One publication that is to be seen; None of `retain` and `qos` is not compared."""

    @property
    def at(self) -> int:
        """When, microseconds from the start."""

    @property
    def topic(self) -> str:
        """On which topic."""

    @property
    def payload(self) -> object:
        """An event's data, or the bare value."""

    @property
    def retain(self) -> bool | None:
        """With which retain flag."""

    @property
    def qos(self) -> int | None:
        """With which QoS."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a comparison; either side may be missing."""

    expected: Expected | None
    seen: Seen | None

    @property
    def same(self) -> bool:
        """Whether what was seen is what was expected."""
        return self.expected is not None and self.seen is not None and _is(self.seen, self.expected)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The rows, in order. It passed if every row is the same on both sides."""

    rows: Sequence[Row]

    @property
    def passed(self) -> bool:
        """Whether everything came as expected, and nothing else."""
        return all(row.same for row in self.rows)

    def table(self) -> str:
        """Both sides beside each other, what differs marked with `!`."""
        left = [_line(row.expected.at, row.expected.topic, row.expected.payload) if row.expected else "" for row in self.rows]
        right = [_line(row.seen.at_us, row.seen.topic, row.seen.payload) if row.seen else "" for row in self.rows]
        width = max([len(text) for text in left] + [len("expected")])
        lines = [f"  {'expected':<{width}}   seen"]
        for row, expected, seen in zip(self.rows, left, right, strict=True):
            lines.append(f"{' ' if row.same else '!'} {expected or '—':<{width}}   {seen or '—'}".rstrip())
        return "\n".join(lines)


def compare(expected: Sequence[Expected], seen: Sequence[Seen]) -> Comparison:
    """Put both in one order: a longest common subsequence stands side by side, the rest alone.

    The order within one moment counts. What is of one moment is compared with what is of the same moment, so that long lists
    cost no more than short ones for each line.
    """
    rows: list[Row] = []
    for mine, others in _by_moment(expected, seen):
        rows += _aligned(mine, others)
    return Comparison(rows)


def _by_moment(expected: Sequence[Expected], seen: Sequence[Seen]) -> Iterator[tuple[Sequence[Expected], Sequence[Seen]]]:
    """Both sides moment by moment; all at once where one of them is not in order of time."""
    if any(one.at > two.at for one, two in pairwise(expected)) or any(one.at_us > two.at_us for one, two in pairwise(seen)):
        yield expected, seen
        return
    wanted = {at: list(group) for at, group in groupby(expected, key=lambda item: item.at)}
    there = {at: list(group) for at, group in groupby(seen, key=lambda item: item.at_us)}
    for at in sorted(wanted.keys() | there.keys()):
        yield wanted.get(at, []), there.get(at, [])


def _aligned(expected: Sequence[Expected], seen: Sequence[Seen]) -> list[Row]:
    rows: list[Row] = []
    left = right = 0
    for pair_left, pair_right in _common(expected, seen):
        rows += _apart(expected[left:pair_left], seen[right:pair_right])
        rows.append(Row(expected[pair_left], seen[pair_right]))
        left, right = pair_left + 1, pair_right + 1
    return rows + _apart(expected[left:], seen[right:])


_ALIGNED_MAX = 2_000
"""Beyond so many lines of one moment only the common beginning is aligned: aligning costs the product of both lengths."""


def _common(expected: Sequence[Expected], seen: Sequence[Seen]) -> list[tuple[int, int]]:
    head = 0
    while head < min(len(expected), len(seen)) and _is(seen[head], expected[head]):
        head += 1
    pairs = [(index, index) for index in range(head)]
    rest_left, rest_right = expected[head:], seen[head:]
    if len(rest_left) > _ALIGNED_MAX or len(rest_right) > _ALIGNED_MAX:
        return pairs
    return pairs + [(head + left, head + right) for left, right in _longest(rest_left, rest_right)]


def _longest(expected: Sequence[Expected], seen: Sequence[Seen]) -> list[tuple[int, int]]:
    lengths = [[0] * (len(seen) + 1) for _ in range(len(expected) + 1)]
    for left in range(len(expected) - 1, -1, -1):
        for right in range(len(seen) - 1, -1, -1):
            same = _is(seen[right], expected[left])
            lengths[left][right] = 1 + lengths[left + 1][right + 1] if same else max(lengths[left + 1][right], lengths[left][right + 1])
    pairs: list[tuple[int, int]] = []
    left = right = 0
    while left < len(expected) and right < len(seen):
        if _is(seen[right], expected[left]):
            pairs.append((left, right))
            left, right = left + 1, right + 1
        elif lengths[left + 1][right] >= lengths[left][right + 1]:
            left += 1
        else:
            right += 1
    return pairs


def _apart(expected: Sequence[Expected], seen: Sequence[Seen]) -> list[Row]:
    """What differs: side by side where moment and topic are those of the other, else each alone."""
    rows: list[Row] = []
    rest = list(seen)
    for item in expected:
        near = next((other for other in rest if other.at_us == item.at and other.topic == item.topic), None)
        if near is not None:
            rows += [Row(None, other) for other in rest[: rest.index(near)]]
            del rest[: rest.index(near) + 1]
        rows.append(Row(item, near))
    return rows + [Row(None, other) for other in rest]


def _is(seen: Seen, expected: Expected) -> bool:
    return (
        seen.at_us == expected.at
        and seen.topic == expected.topic
        and equal(seen.payload, expected.payload)
        and (expected.retain is None or seen.retain == expected.retain)
        and (expected.qos is None or seen.qos == expected.qos)
    )


def equal(left: object, right: object) -> bool:
    """Equality of JSON values: numbers by value, but true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(value, right[key]) for key, value in left.items())
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(equal, left, right))
    return left == right


def _line(at_us: int, topic: str, payload: object) -> str:
    text = encode_value([payload]).decode()[1:-1] if not isinstance(payload, bytes) else repr(payload)
    return f"{at_us / SECOND_US:>8.10g} s  {topic}  {text}"
