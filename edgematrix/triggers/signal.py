"""What can happen to a group besides a message."""

from __future__ import annotations

import msgspec

from edgematrix.triggers.firing import Firing

__all__ = ["ClockStepped", "HandedOver", "Judged", "RunEnded", "Tick"]


class Tick(msgspec.Struct, frozen=True, gc=False):
    """The deadline of the last step has come.

    A step takes one timer: the oldest that is due, the first in written order among equals. Its deadline may
    then be due already; the caller ticks again, after whatever else is older or written earlier.
    """


class RunEnded(msgspec.Struct, frozen=True, gc=False):
    """A run is over, whatever its outcome. Unknown numbers are ignored."""

    run: int


class ClockStepped(msgspec.Struct, frozen=True, gc=False):
    """The wall clock was set: from now on it is the timeline plus `skew_us`."""

    skew_us: int


class Judged(msgspec.Struct, frozen=True, gc=False):
    """A board has judged the group, and this fired. With `if` the stages are still to come, else the board has seen to them."""

    firing: Firing


class HandedOver(msgspec.Struct, frozen=True, gc=False):
    """A board judges the group from now on, or does so no more: values, tokens and levels are forgotten, held firings and runs stay."""
