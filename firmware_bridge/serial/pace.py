"""How long a bridge waits, and its bounds: in microseconds, and counts."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Pace"]

_SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """For one device."""

    ask_us: int = _SECOND_US
    """Between two questions who is there."""
    quiet_us: int = 3 * _SECOND_US
    """A device that has not been heard for so long is asked whether it is there."""
    answer_us: int = 300_000
    """Until something that was not answered is sent again, besides the time that it takes on the line; doubled each time."""
    answer_us_max: int = 2 * _SECOND_US
    tries_max: int = 4
    """Pings, or welcomes, without an answer; then the device is gone."""
    command_us: int = 30 * _SECOND_US
    """A command that says nothing else is worth nothing after so long."""
    durable_us: int = 7 * 24 * 3_600 * _SECOND_US
    """One of a durable edge waits so long, unless it says otherwise."""
    commands_max: int = 1_000
    """Commands that wait; beyond it they are refused. Brokers hand over more at once than they were asked to, after an outage."""
    ids_max: int = 64
    """Ids of commands that were done, so that one that comes again is not done again."""
    rate_per_s: int = 50
    """Values that a device may send in a second; what is beyond is dropped, or made to wait."""
    burst: int = 100
    tell_us: int = 60 * _SECOND_US
    """Counts are told at most this often while nothing else changes."""
