"""How often an agent may ask its model within an hour. What was used up stays so through a restart."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from edgematrix.errors import StateError
from edgematrix.protocol.duration import SECOND_US, format_duration
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.stored_form import pack, unpack

if TYPE_CHECKING:
    from edgematrix.runtime.engine import Engine

__all__ = ["CallBudget"]

_HOUR_US: Final = 3_600 * SECOND_US


class CallBudget:
    """Counts the calls of one agent's model.

    Calls of one second are kept as one entry with the moment of the last, so an hour has at most 3,600, whatever may be called.

    Args:
        per_hour: calls that may be made within any hour.
    """

    __slots__ = ("_count", "_dirty", "_engine", "_per_hour", "_spent", "agent")

    def __init__(self, engine: Engine, agent: AgentPath, per_hour: int) -> None:
        self._engine = engine
        self.agent = agent
        self._per_hour = per_hour
        self._spent: deque[tuple[int, int]] = deque()
        """Moments, each with how many calls there were in the second that ends there."""
        self._count = 0
        self._dirty = False

    @property
    def store_key(self) -> str:
        """Under which it is stored when the model was asked."""
        return f"{self.agent}#budget"

    def spend(self, now_us: int) -> str:
        """Count a call. Why it may not be made; empty where it may."""
        spent = self._spent
        while spent and spent[0][0] <= now_us - _HOUR_US:
            self._count -= spent.popleft()[1]
        if self._count >= self._per_hour:
            left = format_duration((spent[0][0] + _HOUR_US - now_us) // SECOND_US * SECOND_US + SECOND_US)
            return f"its budget of {self._per_hour} calls per hour is used up; the next may be made in {left}"
        self._count += 1
        if spent and spent[-1][0] // SECOND_US == now_us // SECOND_US:
            spent[-1] = (now_us, spent[-1][1] + 1)
        else:
            spent.append((now_us, 1))
        if not self._dirty:
            self._dirty = True
            self._engine.touched.append(self)
        return ""

    def save(self) -> dict[str, bytes | None]:
        """The calls of the last hour."""
        self._dirty = False
        return {"": pack(list(self._spent))}

    def load(self, parts: Mapping[str, bytes], now_us: int, damaged: Callable[[str, Exception], None]) -> None:
        """Take up what was stored. What is of no use is told, and forgotten; a moment that is yet to come counts as now."""
        try:
            stored = unpack(parts.get("", b""), list[tuple[int, int]])
        except StateError as error:
            damaged(self.store_key, error)
            return
        self._spent.extend((min(moment, now_us), count) for moment, count in stored)
        self._count = sum(count for _, count in stored)
