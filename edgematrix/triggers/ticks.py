"""When a clock ticks, as pure functions of the wall clock's time: `cron`, `at` and `sun`.

Instants are microseconds since the epoch.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Protocol

from edgematrix.protocol.duration import SECOND_US, parse_duration
from edgematrix.protocol.moment import parse_moment
from edgematrix.triggers.calendar import Calendar
from edgematrix.triggers.cron import Schedule, parse_cron

__all__ = ["OfDay", "Ticks", "at_ticks", "cron_ticks", "last_tick", "parse_of_day", "sun_ticks"]

DAY_US = 86_400 * SECOND_US
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?")
_SUN = re.compile(r"([a-z]+)(?:\s*([+-])\s*(\S+))?")
_DAYS_AHEAD_MAX = 370
_DAYS_BACK = 2
"""A shifted sun event may fall that many days beside its own."""

OfDay = Callable[[date], int | None]
"""The instant of something that happens once on a local day; None on a day on which it does not."""


class Ticks(Protocol):
    """A clock that goes by the calendar."""

    def after(self, wall_us: int) -> int | None:
        """The first tick later than `wall_us`; None if there is none."""


def cron_ticks(text: str, calendar: Calendar) -> Ticks:
    """The ticks of a crontab line.

    Raises:
        ValueError: it is no crontab line, or never comes.
    """
    calendar.check()
    return _Cron(parse_cron(text), calendar)


def at_ticks(text: str, calendar: Calendar) -> Ticks:
    """The ticks of `HH:MM[:SS]`, daily, or of a date-time, once; without an offset it is local.

    Raises:
        ValueError: it is neither.
    """
    if _TIME.fullmatch(text.strip()):
        return _Daily(parse_of_day(text, calendar), calendar)
    try:
        moment = datetime.fromisoformat(text)
        if len(text.strip()) <= len("2026-01-01"):
            raise ValueError
        once_us = calendar.instant(moment) if moment.tzinfo is None else parse_moment(text)
    except (ValueError, OverflowError):
        raise ValueError(f"`at` is HH:MM[:SS], or a date-time such as 2026-03-01T18:00, found {text[:60]!r}") from None
    return _Once(once_us)


def sun_ticks(text: str, calendar: Calendar) -> Ticks:
    """The ticks of a sun event with an offset, such as `sunset-15m`.

    Raises:
        ValueError: there is no such event, or the matrix has no place.
    """
    return _Daily(_sun_of_day(text, calendar), calendar)


def parse_of_day(text: str, calendar: Calendar) -> OfDay:
    """Read `HH:MM[:SS]` or a sun event with an offset.

    Raises:
        ValueError: it is neither, or the sun is meant and the matrix has no place.
    """
    clock = parse_time(text)
    if clock is None:
        return _sun_of_day(text, calendar)
    calendar.check()
    return lambda day: calendar.instant(datetime.combine(day, clock))


def parse_time(text: str) -> time | None:
    """Read `HH:MM[:SS]`; None if it has another form.

    Raises:
        ValueError: it has the form, but there is no such time.
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        return None
    hour, minute, second = (int(part or 0) for part in match.groups())
    try:
        return time(hour, minute, second)
    except ValueError:
        raise ValueError(f"there is no time {text[:20]!r}; a day goes from 00:00 to 23:59:59") from None


def last_tick(ticks: Ticks, after_us: int, until_us: int) -> int | None:
    """The last tick later than `after_us` and not later than `until_us`; None if there is none.

    It looks back over ever longer stretches, so that a long absence costs no more than a short one.
    """
    stretch_us = 3_600 * SECOND_US
    while True:
        start_us = max(after_us, until_us - stretch_us)
        tick_us = ticks.after(start_us)
        if tick_us is not None and tick_us <= until_us:
            break
        if start_us == after_us:
            return None
        stretch_us *= 24
    while True:
        next_us = ticks.after(tick_us)
        if next_us is None or next_us > until_us:
            return tick_us
        tick_us = next_us


def _sun_of_day(text: str, calendar: Calendar) -> OfDay:
    match = _SUN.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"expected HH:MM[:SS], or the sun such as `sunset` or `sunrise+1h`, found {text[:60]!r}")
    event, sign, offset = match.groups()
    offset_us = 0 if offset is None else parse_duration(offset) * (-1 if sign == "-" else 1)
    if abs(offset_us) > DAY_US:
        raise ValueError(f"the offset of {text[:60]!r} is over a day")
    calendar.sun(event, date(2000, 6, 1))

    def on(day: date) -> int | None:
        moment_us = calendar.sun(event, day)
        return None if moment_us is None else moment_us + offset_us

    return on


class _Cron:
    __slots__ = ("_calendar", "_schedule")

    def __init__(self, schedule: Schedule, calendar: Calendar) -> None:
        self._schedule = schedule
        self._calendar = calendar

    def after(self, wall_us: int) -> int | None:
        """Local times map to instants in order, so the first that lies later is the next one."""
        try:
            local: datetime | None = self._calendar.local(wall_us)
            while local is not None and (local := self._schedule.first_from(local)) is not None:
                tick_us = self._calendar.instant(local)
                if tick_us > wall_us:
                    return tick_us
                local += timedelta(seconds=1)
        except (OverflowError, ValueError):
            pass
        return None


class _Daily:
    __slots__ = ("_calendar", "_on")

    def __init__(self, on: OfDay, calendar: Calendar) -> None:
        self._on = on
        self._calendar = calendar

    def after(self, wall_us: int) -> int | None:
        """Days are tried from before, for a shifted sun event may belong to the day before or after."""
        try:
            first = self._calendar.local(wall_us).date() - timedelta(days=_DAYS_BACK)
            for days in range(_DAYS_AHEAD_MAX):
                tick_us = self._on(first + timedelta(days=days))
                if tick_us is not None and tick_us > wall_us:
                    return tick_us
        except OverflowError:
            pass
        return None


class _Once:
    __slots__ = ("_once_us",)

    def __init__(self, once_us: int) -> None:
        self._once_us = once_us

    def after(self, wall_us: int) -> int | None:
        return self._once_us if self._once_us > wall_us else None
