"""A piece of an output that is being streamed, and who takes one (docs/spec/topics.md, `part`)."""

from __future__ import annotations

import msgspec

from edgematrix.protocol.duration import SECOND_US
from edgematrix.protocol.event import Trail

__all__ = ["Pace", "Part", "Passing"]


class Part(msgspec.Struct, frozen=True):
    """A piece of an output that is being streamed.

    `sequence` counts the pieces on `port` from 1. A 1 that comes again begins anew, as after a failed attempt or in a new round of a
    loop: the pieces before it are void. `lost` is how many pieces right before this one have not come; `taint` names the
    origins of untrusted text in it.
    """

    value: object
    sequence: int
    port: str
    lost: int = 0
    taint: str = ""


class Pace:
    """Lets so many pieces a second go, and the next ones in the seconds after.

    Args:
        per_second_max: how many.
    """

    __slots__ = ("_count", "_from_us", "_per_second_max")

    def __init__(self, per_second_max: int) -> None:
        self._per_second_max = per_second_max
        self._from_us = 0
        self._count = 0

    def next_us(self, now_us: int) -> int:
        """When the next piece may go: at once, or in the next second that has room."""
        if now_us - self._from_us >= SECOND_US:
            self._from_us, self._count = now_us, 0
        elif self._count >= self._per_second_max:
            self._from_us, self._count = self._from_us + SECOND_US, 0
        self._count += 1
        return max(now_us, self._from_us)


class Passing:
    """A listener that hands on what an agent puts out as another's own: the output of a composite that an agent inside feeds."""

    __slots__ = ()

    def pass_on(self, value: object, sequence: int, trail: Trail, now_us: int) -> None:
        """Hand a piece on."""
        raise NotImplementedError
