"""POSIX crontab schedules (IEEE Std 1003.1, crontab), with steps and names as Vixie cron has them.

The calendar arithmetic is APScheduler's, on local times without a zone: it neither knows which weekday is 0, nor that day
of month and day of week are alternatives, nor what a gap is, so these are settled here and in `ticks`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol

__all__ = ["Schedule", "parse_cron"]

_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("day of week", 0, 7))
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAYS_MAX = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_PART = re.compile(r"(\*|[0-9]{1,2}|[a-z]{3})(?:-([0-9]{1,2}|[a-z]{3}))?(?:/([0-9]{1,2}))?")


class _Trigger(Protocol):
    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None: ...


class Schedule:
    """When a crontab line is due, on local times.

    Args:
        triggers: one, or two of which either counts.
    """

    __slots__ = ("_triggers",)

    def __init__(self, *triggers: _Trigger) -> None:
        self._triggers = triggers

    def first_from(self, local: datetime) -> datetime | None:
        """The first time due at `local` or later; None if none is left before the year 9999 ends."""
        now = local.replace(tzinfo=UTC)
        found = [moment for trigger in self._triggers if (moment := trigger.get_next_fire_time(None, now)) is not None]
        return min(found).replace(tzinfo=None) if found else None


@lru_cache(maxsize=512)
def parse_cron(text: str) -> Schedule:
    """Read five fields: minute, hour, day of month, month, day of week.

    Raises:
        ValueError: it is no such line, or names a date that no year has.
    """
    parts = text.lower().split()
    if len(parts) != len(_FIELDS):
        raise ValueError(f"`cron` has five fields (minute, hour, day of month, month, day of week), found {len(parts)} in {text[:60]!r}")
    minutes, hours, days, months, weekdays = (_values(part, *field) for part, field in zip(parts, _FIELDS, strict=True))
    any_day, any_weekday = parts[2] == "*", parts[4] == "*"
    if not any_day and any_weekday and not any(day <= _DAYS_MAX[month - 1] for day in days for month in months):
        raise ValueError(f"the cron {text[:60]!r} never comes: no such month has such a day")
    time = {"minute": _listed(minutes, parts[0]), "hour": _listed(hours, parts[1]), "month": _listed(months, parts[3])}
    day = {"day": ",".join(map(str, days))}
    weekday = {"day_of_week": ",".join(dict.fromkeys(_DAYS[value] for value in weekdays))}
    if any_day and any_weekday:
        return Schedule(_trigger(time))
    if any_weekday:
        return Schedule(_trigger(time | day))
    if any_day:
        return Schedule(_trigger(time | weekday))
    if not any(day_ <= _DAYS_MAX[month - 1] for day_ in days for month in months):
        return Schedule(_trigger(time | weekday))
    return Schedule(_trigger(time | day), _trigger(time | weekday))


def _trigger(fields: dict[str, str]) -> _Trigger:
    from apscheduler.triggers.cron import CronTrigger  # noqa: PLC0415  only matrices with a cron need it

    trigger: _Trigger = CronTrigger(**fields, second="0", timezone=UTC)
    return trigger


def _listed(values: list[int], part: str) -> str:
    return part if part == "*" else ",".join(map(str, values))


def _values(text: str, name: str, least: int, most: int) -> list[int]:
    """The values that one field names, ascending."""
    found: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(f"the cron's {name} {text[:40]!r} is no list of values, ranges and steps such as `0,15`, `1-5` or `*/10`")
        first, last, step = match.groups()
        if first == "*":
            if last is not None:
                raise ValueError(f"the cron's {name} {text[:40]!r} has a range from *")
            low, high = least, 6 if name == "day of week" else most
        else:
            low = _value(first, name, least, most)
            high = low if last is None else 7 if last == "sun" else _value(last, name, least, most)
            if step is not None and last is None:
                raise ValueError(f"the cron's {name} {text[:40]!r} has a step without a range: write `{first}-{most}/{step}`")
        if low > high:
            raise ValueError(f"the cron's {name} {text[:40]!r} has a range that runs backwards")
        if step is not None and int(step) == 0:
            raise ValueError(f"the cron's {name} {text[:40]!r} has a step of 0")
        found.update(range(low, high + 1, int(step or 1)))
    return sorted(found)


def _value(text: str, name: str, least: int, most: int) -> int:
    if text.isdigit():
        value = int(text)
    elif name == "month" and text in _MONTHS:
        value = _MONTHS.index(text) + 1
    elif name == "day of week" and text in _DAYS:
        value = _DAYS.index(text)
    else:
        raise ValueError(f"the cron's {name} has no value {text!r}")
    if not least <= value <= most:
        raise ValueError(f"the cron's {name} goes from {least} to {most}, found {value}")
    return value
