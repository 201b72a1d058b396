"""How often a device may be told something: a dwell between two commands, and a rate over a sliding stretch."""

from __future__ import annotations

from collections import deque

import msgspec

from edgematrix.agents.spec import Rate
from edgematrix.protocol.duration import format_duration

__all__ = ["Command", "Pace"]


class Command(msgspec.Struct, frozen=True):
    """A command that passed every other limit.

    It is worth nothing from `expiry_us` on (None: never); `cause` is what the caller knows it by, `taint` has the origins of untrusted
    text that it follows from.
    """

    value: object
    expiry_us: int | None
    cause: str = ""
    taint: str = ""


class Pace:
    """The pace of one capability, and the one command that it holds back.

    A command that comes before the dwell is over is held; a newer one takes its place. It is sent when the dwell is
    over, if it has not expired. `sent` has at most `rate.count` moments.
    """

    __slots__ = ("_dwell_us", "_held", "_last_us", "_rate", "_sent")

    def __init__(self, dwell_us: int | None, rate: Rate | None) -> None:
        self._dwell_us = dwell_us or 0
        self._rate = rate
        self._sent: deque[int] = deque(maxlen=rate.count if rate else 0)
        self._last_us: int | None = None
        self._held: Command | None = None

    @property
    def deadline_us(self) -> int | None:
        """When the held command is due, or expires; None if there is none."""
        held = self._held
        if held is None or held.expiry_us is None:
            return None if held is None else self._free_us
        return min(self._free_us, held.expiry_us)

    def offer(self, command: Command, now_us: int) -> tuple[Command | None, list[tuple[Command, str]]]:
        """Take a command: the one that may be sent now, and those that are refused, each with the reason."""
        refused: list[tuple[Command, str]] = []
        if _is_late(command, now_us):
            return None, [(command, "the command has expired")]
        if self._held is not None:
            refused.append((self._held, f"a newer command came within the dwell of {format_duration(self._dwell_us)}"))
            self._held = None
        if now_us < self._free_us:
            self._held = command
            return None, refused
        return self._pass(command, now_us, refused)

    def tick(self, now_us: int) -> tuple[Command | None, list[tuple[Command, str]]]:
        """Time has passed: the held command, if it is due, or its refusal, if it has expired."""
        held = self._held
        due_us = self.deadline_us
        if held is None or due_us is None or now_us < due_us:
            return None, []
        self._held = None
        if _is_late(held, now_us):
            return None, [(held, f"the command expired within the dwell of {format_duration(self._dwell_us)}")]
        return self._pass(held, now_us, [])

    def kept(self) -> tuple[list[int], int | None]:
        """What a restart may not forget: the moments of its commands within the rate, and the last one's."""
        return list(self._sent), self._last_us

    def go_on(self, sent: list[int], last_us: int | None, now_us: int) -> None:
        """Take up what was kept. A moment that is yet to come, by a clock that was set back, counts as now."""
        self._sent.extend(min(moment, now_us) for moment in sent)
        self._last_us = None if last_us is None else min(last_us, now_us)

    @property
    def _free_us(self) -> int:
        return 0 if self._last_us is None else self._last_us + self._dwell_us

    def _pass(self, command: Command, now_us: int, refused: list[tuple[Command, str]]) -> tuple[Command | None, list[tuple[Command, str]]]:
        rate = self._rate
        if rate is not None:
            if len(self._sent) == rate.count and now_us - self._sent[0] < rate.per:
                reason = f"more than {rate.count} commands in {format_duration(rate.per)}"
                return None, [*refused, (command, reason)]
            self._sent.append(now_us)
        self._last_us = now_us
        return command, refused


def _is_late(command: Command, now_us: int) -> bool:
    return command.expiry_us is not None and now_us >= command.expiry_us
