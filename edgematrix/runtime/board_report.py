"""A firing that a board tells (docs/spec/triggers.md, "Pushed down")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from edgematrix.protocol.duration import SECOND_US
from edgematrix.triggers import Firing, Reading

__all__ = ["BoardReport", "read_report"]

_VERSION: Final = 1
_PARTS: Final = 9
_READING: Final = (2, 3)
_MS_US: Final = 1_000
_AHEAD_US: Final = 60 * SECOND_US
_BEHIND_US: Final = 7 * 86_400 * SECOND_US
"""A board's clock that is further off is wrong."""


class BoardReport(msgspec.Struct, frozen=True):
    """One firing.

    `number` counts from 1 in each `boot` of the board, `lost` firings that there was no room to keep. `age_ms` is how long ago it was
    when it was sent, `at_us` when it was by the board's clock, None where that is not set. `done` are the actions that the board has
    carried out. A reading is None or `[value, age when it fired in ms]`, with the whole payload where the value is a part of it.
    """

    boot: str
    number: int
    rule: str
    age_ms: int
    at_us: int | None
    done: tuple[int, ...]
    readings: Sequence[Any]
    lost: int

    def firing(self, group: str, names: Sequence[str], topics: Sequence[str], wall_us: int) -> Firing:
        """The firing as the group itself would have made it, as heard at `wall_us`.

        Args:
            group: the group's name.
            names: of its sources, in written order.
            topics: of these.
            wall_us: now, by the wall clock.
        """
        sent_us = wall_us - self.age_ms * _MS_US
        is_right = self.at_us is not None and sent_us - _BEHIND_US <= self.at_us <= wall_us + _AHEAD_US
        fired_us = self.at_us if is_right and self.at_us is not None else sent_us
        sources = {name: _reading(one, topic, fired_us) for name, topic, one in zip(names, topics, self.readings, strict=True)}
        return Firing(group, None, sources, fired_at_us=fired_us, done=self.done)


def read_report(value: object) -> BoardReport:
    """Read `[1, boot, number, rule, age, [seconds, ms] or null, done, readings, lost]`.

    Raises:
        ValueError: it is something else; the text says what.
    """
    if not isinstance(value, list) or len(value) != _PARTS or value[0] != _VERSION:
        raise ValueError("this is no firing of a board")
    _, boot, number, rule, age_ms, at, done, readings, lost = value
    moment = at if isinstance(at, list) and len(at) == len(("seconds", "ms")) and all(map(_is_count, at)) else None
    texts = all(isinstance(text, str) and len(text) <= _TEXT_MAX for text in (boot, rule))
    lists = isinstance(done, list) and all(map(_is_count, done)) and isinstance(readings, list) and all(map(_is_reading, readings))
    if not texts or not lists or not all(map(_is_count, (number, age_ms, lost))) or (at is not None and moment is None):
        raise ValueError("this firing of a board is malformed")
    at_us = None if moment is None else moment[0] * SECOND_US + moment[1] * _MS_US
    return BoardReport(boot, number, rule, age_ms, at_us, tuple(done), readings, lost)


_TEXT_MAX: Final = 64


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 53


def _is_reading(value: object) -> bool:
    return value is None or (isinstance(value, list) and len(value) in _READING and _is_count(value[1]))


def _reading(one: Any, topic: str, fired_us: int) -> Reading | None:
    if one is None:
        return None
    payload = one[2] if len(one) == _READING[1] else one[0]
    return Reading(one[0], payload, topic, fired_us - one[1] * _MS_US)
