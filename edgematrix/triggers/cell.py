"""What one source remembers, and the token that it gives."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from edgematrix.protocol.message import Message
from edgematrix.triggers.aggregate import Window

__all__ = ["NO_CAPTURES", "NO_MESSAGE", "Cell", "Token"]

NO_CAPTURES: Final[dict[str, str]] = {}
NO_MESSAGE: Final = Message("", None)
"""Stands for the message where a clock or a window of the day speaks."""


class Token(NamedTuple):
    """One event that waits to take part in a firing. `at_us` is when it came, on the group's own timeline."""

    value: Any
    message: Message
    captures: dict[str, str]
    at_us: int


class Cell:
    """The memory of one source.

    `value`, `message`, `captures` and `at_us` are the newest known value; `message` is None while there is none.
    `side` is that of a level, None while unknown. `due_us` is when a `for` is over, a silence long enough, or a clock
    ticks next; `lapse_us` when the value expires, or a window of the day begins or ends; both on the group's timeline.
    `prev` is the last known value for `where`. `memory` is the detector's own: the base of `changes: {by}`, the moments
    or the number of `count`, the wall clock's moment up to which a clock is dealt with. `window` holds the samples of
    `aggregate`. `taint` are the origins of untrusted text in what is remembered, `taint_us` when the newest of it came.
    """

    __slots__ = ("at_us", "captures", "due_us", "lapse_us", "memory", "message", "prev", "side", "taint", "taint_us", "value", "window")

    def __init__(self) -> None:
        self.value: Any = None
        self.message: Message | None = None
        self.captures: dict[str, str] = NO_CAPTURES
        self.at_us = 0
        self.side: bool | None = None
        self.due_us: int | None = None
        self.lapse_us: int | None = None
        self.prev: Any = None
        self.memory: Any = None
        self.window: Window | None = None
        self.taint = ""
        self.taint_us = 0

    def is_blank(self) -> bool:
        """Whether forgetting it changes nothing."""
        parts = (self.message, self.side, self.due_us, self.lapse_us, self.prev, self.memory, self.window)
        return all(part is None for part in parts)

    def newest(self, at_us: int) -> Token:
        """The newest known value as a token of `at_us`."""
        return Token(self.value, self.message or NO_MESSAGE, self.captures, at_us)
