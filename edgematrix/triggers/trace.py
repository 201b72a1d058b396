"""Why a message led to no run: cheap to make, put into words only when somebody reads it."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

__all__ = ["Reason", "Trace"]


class Reason(StrEnum):
    """Why nothing ran."""

    STEADY = "steady"


class Trace(NamedTuple):
    """One reason. `source` is empty where the group as a whole is meant; what `detail` holds depends on the reason."""

    reason: Reason
    group: str
    key: str | None = None
    source: str = ""
    detail: tuple[object, ...] = ()

    def describe(self) -> str:
        """What a user reads."""
        return f"`{self.group}` did not fire: {self.reason}"
