"""`during`: stretches of the day, past midnight too, on some days of the week or on all (docs/spec/triggers.md)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from edgematrix.triggers.calendar import Calendar
from edgematrix.triggers.spec import Window
from edgematrix.triggers.ticks import DAY_US, parse_of_day, parse_time

__all__ = ["Daytime", "Stretch", "daytime_of"]

_TEXT = re.compile(
    r"\s*([0-9]{1,2}:[0-9:]+|[a-z]+(?:\s*[+-]\s*[0-9][0-9.dhms]*)??)"  # a time, or the sun with an offset
    r"\s*-\s*([0-9]{1,2}:[0-9:]+|[a-z]+.*)\s*"
)
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAYS_BEFORE = 3
_DAYS_AHEAD_MAX = 370


class Stretch(NamedTuple):
    """Whether an instant lies inside, since when if so, and until when that stays (None: for good)."""

    inside: bool
    since_us: int
    until_us: int | None


class Daytime:
    """A daily stretch of time. Its beginning is in, its end is not; `days` are those on which it begins.

    Args:
        begin: `HH:MM[:SS]` or a sun event with an offset; so is `end`.
        end: before `begin` it lies on the next day.
        days: those on which it begins; None for each.
        calendar: time zone and place.

    Raises:
        ValueError: a time cannot be read, or both are the same.
    """

    __slots__ = ("_begin", "_calendar", "_days", "_end", "_overnight")

    def __init__(self, begin: str, end: str, days: Sequence[str] | None, calendar: Calendar) -> None:
        begin_time, end_time = parse_time(begin), parse_time(end)
        if begin.strip() == end.strip() or (begin_time is not None and begin_time == end_time):
            raise ValueError(f"`during` begins and ends at {begin.strip()}")
        if days is not None and not days:
            raise ValueError("`during` names no day")
        self._overnight = None if begin_time is None or end_time is None else end_time < begin_time
        self._begin = parse_of_day(begin, calendar)
        self._end = parse_of_day(end, calendar)
        self._days = None if days is None else frozenset(_DAYS.index(day) for day in days)
        self._calendar = calendar

    def at(self, wall_us: int) -> Stretch:
        """Where an instant lies."""
        first = self._calendar.local(wall_us).date() - timedelta(days=_DAYS_BEFORE)
        inside: tuple[int, int] | None = None
        for begin_us, end_us in self._windows(first):
            if inside is not None:
                if begin_us > inside[1]:
                    break
                inside = (inside[0], max(inside[1], end_us))
            elif begin_us > wall_us:
                return Stretch(False, wall_us, begin_us)
            elif end_us > wall_us:
                inside = (begin_us, end_us)
        return Stretch(False, wall_us, None) if inside is None else Stretch(True, *inside)

    def _windows(self, first: date) -> Iterator[tuple[int, int]]:
        for days in range(_DAYS_AHEAD_MAX):
            day = first + timedelta(days=days)
            if self._days is not None and day.weekday() not in self._days:
                continue
            begin_us = self._begin(day)
            if begin_us is None:
                continue
            end_us = self._end_of(day, begin_us)
            if end_us > begin_us:
                yield begin_us, end_us

    def _end_of(self, day: date, begin_us: int) -> int:
        """A sun that does not do what is asked for ends a stretch after a day."""
        if self._overnight is not None:
            return self._end(day + timedelta(days=self._overnight)) or begin_us
        for later in range(3):
            end_us = self._end(day + timedelta(days=later))
            if end_us is not None and end_us > begin_us:
                return end_us
        return begin_us + DAY_US


def daytime_of(during: str | Window, calendar: Calendar) -> Daytime:
    """Read `"22:00-06:00"`, `"sunset-15m-23:30"`, or `{from, to, days}`.

    Raises:
        ValueError: it cannot be read.
    """
    if not isinstance(during, str):
        return Daytime(during.from_, during.to, during.days, calendar)
    match = _TEXT.fullmatch(during)
    if match is None:
        raise ValueError(f"`during` is `HH:MM-HH:MM`, or a mapping with `from` and `to`, found {during[:60]!r}")
    return Daytime(match.group(1), match.group(2), None, calendar)
