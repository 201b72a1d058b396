"""Milliseconds that only go forward, on MicroPython and CPython.

MicroPython's counter wraps, so two readings are compared with `ticks_diff` alone, and must lie within six days.
"""

import os
import time

__all__ = ["jittered", "now_s", "sleep_ms", "ticks_add", "ticks_diff", "ticks_ms"]

_CLOCK_SET_YEAR = 2025
"""A board that has never heard the time says 1970 or 2000."""


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def _minus(late: int, early: int) -> int:
    return late - early


def _plus(ticks: int, delta_ms: int) -> int:
    return ticks + delta_ms


def _sleep_ms(wait_ms: int) -> None:
    time.sleep(wait_ms / 1000)


ticks_ms = getattr(time, "ticks_ms", _monotonic_ms)
ticks_diff = getattr(time, "ticks_diff", _minus)
ticks_add = getattr(time, "ticks_add", _plus)
sleep_ms = getattr(time, "sleep_ms", _sleep_ms)


def days_before(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 to a date of the Gregorian calendar, counted from 1 March so that leap days come last."""
    years = year - (month <= 2)
    months = (month + 9) % 12
    return years * 365 + years // 4 - years // 100 + years // 400 + (153 * months + 2) // 5 + day - 719_469


def seconds_of(year: int, month: int, day: int, hour: int, minute: int, second: int) -> int:
    """Seconds since 1970-01-01T00:00:00Z, whatever the epoch of the board is."""
    return days_before(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second


def now_s() -> int:
    """The wall clock in seconds since 1970; 0 while it is not set."""
    now = time.gmtime()
    return seconds_of(*now[:6]) if now[0] >= _CLOCK_SET_YEAR else 0


def jittered(delay_ms: int) -> int:
    """Between half of a delay and the whole of it, by chance, so that boards do not come back all at once."""
    half_ms = delay_ms // 2
    return half_ms + int.from_bytes(os.urandom(4), "big") % (delay_ms - half_ms + 1)
