"""A place on the civil calendar: instants to local times and back, and the sun there.

Instants are whole microseconds since the epoch, local times are datetimes without a zone.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache

import msgspec

from edgematrix.protocol.duration import SECOND_US

__all__ = ["Calendar"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SUN_EVENTS = ("dawn", "sunrise", "noon", "sunset", "dusk")


class Calendar(msgspec.Struct, frozen=True):
    """Where and in which time zone a matrix lives. The place is None where the matrix gives none; sun events need it.

    Args:
        timezone: a name of the IANA database, such as `Europe/Berlin`.
        latitude: degrees, north positive.
        longitude: degrees, east positive.
    """

    timezone: str = "UTC"
    latitude: float | None = None
    longitude: float | None = None

    def check(self) -> None:
        """Make sure that there is such a time zone.

        Raises:
            ValueError: there is none.
        """
        _zone(self.timezone)

    def local(self, wall_us: int) -> datetime:
        """The local time at an instant.

        Raises:
            OverflowError: it is outside the years 1 to 9999.
        """
        return (_EPOCH + timedelta(microseconds=wall_us)).astimezone(_zone(self.timezone)).replace(tzinfo=None, fold=0)

    def instant(self, local: datetime) -> int:
        """The instant at which clocks show `local`: the first if they show it twice, the first one after the gap if never.

        Raises:
            ValueError: there is no such time zone.
            OverflowError: it is outside the years 1 to 9999.
        """
        zone = _zone(self.timezone)
        wall_us = _wall_us(local.replace(tzinfo=zone, fold=0))
        return wall_us if self.local(wall_us) == local else _end_of_gap(local, zone)

    def sun(self, event: str, day: date) -> int | None:
        """The instant of dawn, sunrise, noon, sunset or dusk on a local day; None where the sun does not do that.

        Raises:
            ValueError: there is no such event, or no place is given.
        """
        if event not in _SUN_EVENTS:
            raise ValueError(f"the sun has no {event!r}; it has {', '.join(_SUN_EVENTS)}")
        if self.latitude is None or self.longitude is None:
            raise ValueError("sun events need the matrix's `location: {lat, lon}`")
        return _sun(event, day, self.timezone, self.latitude, self.longitude)


@lru_cache(maxsize=64)
def _zone(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo  # noqa: PLC0415  only matrices with a calendar need the database

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"there is no time zone {name[:60]!r}") from None


def _wall_us(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _end_of_gap(local: datetime, zone: tzinfo) -> int:
    """The first instant after the gap that `local` falls into, by bisection to the second.

    Read with the offset after the gap, `local` comes before the change of clocks, read with the one before, not before it.
    """
    before_s = _wall_us(local.replace(tzinfo=zone, fold=1)) // SECOND_US
    after_s = -(-_wall_us(local.replace(tzinfo=zone, fold=0)) // SECOND_US)
    offset = (_EPOCH + timedelta(seconds=after_s)).astimezone(zone).utcoffset()
    while after_s - before_s > 1:
        middle = (before_s + after_s) // 2
        if (_EPOCH + timedelta(seconds=middle)).astimezone(zone).utcoffset() == offset:
            after_s = middle
        else:
            before_s = middle
    return after_s * SECOND_US


@lru_cache(maxsize=1024)
def _sun(event: str, day: date, timezone: str, latitude: float, longitude: float) -> int | None:
    import astral  # noqa: PLC0415  only matrices with sun events need it
    import astral.sun  # noqa: PLC0415

    observer = astral.Observer(latitude, longitude)
    try:
        moment: datetime = getattr(astral.sun, event)(observer, date=day, tzinfo=_zone(timezone))
    except ValueError:
        return None
    return _wall_us(moment)
