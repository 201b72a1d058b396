"""Moments of the civil calendar: cron, times of day, sun events and windows, in one time zone and place."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Calendar"]


@dataclass(frozen=True, slots=True)
class Calendar:
    """Where and in which time zone a matrix lives. The place is None where the matrix gives none; sun events need it."""

    timezone: str = "UTC"
    latitude: float | None = None
    longitude: float | None = None
