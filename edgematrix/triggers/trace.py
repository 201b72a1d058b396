"""Why a message led to no run: cheap to make, put into words only when somebody reads it."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, NamedTuple

from edgematrix.protocol.duration import SECOND_US, format_duration
from edgematrix.protocol.moment import format_moment

__all__ = ["Reason", "Trace"]


class Reason(StrEnum):
    """Why nothing ran. The comments say what the detail of a trace holds."""

    ABANDONED = "abandoned"  # the run
    ANEW = "anew"
    BEFORE_TURN = "before_turn"  # the source whose turn it is
    CLEARED = "cleared"
    CONDITION = "condition"
    COOLDOWN = "cooldown"  # what is left of it, us
    COUNTED = "counted"  # how many so far, how many are needed
    DEBOUNCED = "debounced"  # for how long, us
    EVICTED = "evicted"  # keys_max, how many firings it held
    EXPIRED = "expired"  # after, us
    FIRST = "first"
    FOR_BROKEN = "for_broken"  # since when (wall clock, us), what is needed, what it had, us
    FOR_STARTED = "for_started"  # us
    FULL = "full"  # max, overflow
    GATE = "gate"
    GATE_EARLY = "gate_early"
    GIVEN_UP = "given_up"  # what
    IF_ERROR = "if_error"  # the error
    IF_FALSE = "if_false"
    IGNORED = "ignored"
    KEEP_FULL = "keep_full"  # keep_max
    LIMIT = "limit"  # count, per, us
    MISSED = "missed"  # the tick (wall clock, us), how late, us
    NOTED = "noted"
    NOT_ASKED = "not_asked"
    NOT_KEPT = "not_kept"
    NO_CHANGE = "no_change"
    NO_KEY = "no_key"
    OFF = "off"
    PUSHED = "pushed"
    QUEUED = "queued"  # its place
    RATE = "rate"  # rate_max
    REPLACED = "replaced"
    REQUIRED = "required"
    RUNNING = "running"
    SAMPLES_FULL = "samples_full"  # how many it holds
    SEEDED = "seeded"
    STALE = "stale"  # within, us
    STEADY = "steady"  # the side
    THROTTLED = "throttled"  # for how long, us
    TIMED_OUT = "timed_out"  # the names of what is missing
    TOO_OLD = "too_old"  # its age, max_age, us
    UNKNOWN = "unknown"
    WAITS = "waits"  # the names of all sources, the bits of those awaited
    WHERE_ERROR = "where_error"  # the error
    WHERE_FALSE = "where_false"


class Trace(NamedTuple):
    """One reason. `source` is empty where the group as a whole is meant; what `detail` holds, `Reason` says."""

    reason: Reason
    group: str
    key: str | None = None
    source: str = ""
    detail: tuple[Any, ...] = ()

    def describe(self) -> str:
        """What a user reads."""
        of_key = "" if self.key is None else f" for {self.key!r}"
        return f"`{self.group}`{of_key} did not fire: {_WORDS[self.reason](f'`{self.source}`', *self.detail)}"


def _clock(wall_us: int) -> str:
    text = format_moment(wall_us)[11:19]
    return text.removesuffix(":00")


def _names(names: tuple[str, ...], bits: int) -> str:
    return ", ".join(f"`{name}`" for place, name in enumerate(names) if bits >> place & 1)


_for = format_duration


def _about(measured_us: int) -> str:
    """A measured duration as people want it: in tenths of a second from a second on, never more than it was."""
    step_us = 100_000 if measured_us >= SECOND_US else 1_000
    return format_duration(measured_us // step_us * step_us)


_WORDS: dict[Reason, Callable[..., str]] = {
    Reason.ABANDONED: lambda _, run: f"run {run} was under way at a restart and is abandoned",
    Reason.ANEW: lambda source: f"the sequence starts anew at {source}",
    Reason.BEFORE_TURN: lambda source, turn: f"{source} came before its turn, which is that of `{turn}`",
    Reason.CLEARED: lambda source: f"{source} cleared its tokens",
    Reason.CONDITION: lambda source: f"the condition {source} is not met",
    Reason.COOLDOWN: lambda _, left_us: f"in its cooldown for another {_about(left_us)}",
    Reason.COUNTED: lambda source, count, needed: f"{source} has {count} of {needed}",
    Reason.DEBOUNCED: lambda _, us: f"held until nothing comes for {_for(us)}",
    Reason.EVICTED: lambda _, keys_max, held: f"forgotten, for there are more than {keys_max} keys; it held {held} firings",
    Reason.EXPIRED: lambda source, us: f"nothing came from {source} for {_for(us)}, so its value is unknown",
    Reason.FIRST: lambda source: f"the first value of {source} is no change",
    Reason.FOR_BROKEN: lambda source, since_us, needed_us, had_us: (
        f"{source} ON since {_clock(since_us)}, needs {_for(needed_us)}, had {_about(had_us)}"
    ),
    Reason.FOR_STARTED: lambda source, us: f"{source} turned ON and must stay so for {_for(us)}",
    Reason.FULL: lambda _, run_max, overflow: f"there are {run_max} runs already (overflow: {overflow})",
    Reason.GATE: lambda source: f"it waits for the gate {source}",
    Reason.GATE_EARLY: lambda source: f"the gate {source} came before all regular sources were ready",
    Reason.GIVEN_UP: lambda source, what: f"its {what} passed while down" + ("" if source == "``" else f" ({source})"),
    Reason.IF_ERROR: lambda _, error: f"`if` failed: {error}",
    Reason.IF_FALSE: lambda _: "`if` is false",
    Reason.IGNORED: lambda source: f"the message of {source} is a retained one",
    Reason.KEEP_FULL: lambda source, keep_max: f"{source} keeps {keep_max} tokens, so the oldest went",
    Reason.LIMIT: lambda _, count, per_us: f"it fired {count} times within {_for(per_us)}",
    Reason.MISSED: lambda source, tick_us, late_us: f"the tick of {source} at {_clock(tick_us)} was missed, {_about(late_us)} late",
    Reason.NOTED: lambda source: f"{source} judges nothing by itself",
    Reason.NOT_ASKED: lambda source: f"the value of {source} is none of those asked for",
    Reason.NOT_KEPT: lambda source: f"{source} keeps its first token",
    Reason.NO_CHANGE: lambda source: f"{source} has not changed as asked",
    Reason.NO_KEY: lambda _: "no key is known yet that it could be for",
    Reason.OFF: lambda source: f"{source} turned OFF",
    Reason.PUSHED: lambda _: "its board judges it",
    Reason.QUEUED: lambda _, place: f"it waits for the runs before it, at place {place}",
    Reason.RATE: lambda _, rate_max: f"paused: over {rate_max} firings within a second",
    Reason.REPLACED: lambda _: "a newer firing takes its place",
    Reason.REQUIRED: lambda source: f"the required {source} has no value",
    Reason.RUNNING: lambda _: "a run is going",
    Reason.SAMPLES_FULL: lambda source, count: f"the window of {source} holds {count} samples, so the oldest went",
    Reason.SEEDED: lambda source: f"a retained message seeds {source} and is no event",
    Reason.STALE: lambda source, within_us: f"the token of {source} is older than {_for(within_us)}",
    Reason.STEADY: lambda source, side: f"{source} stays {'ON' if side else 'OFF'}, no edge",
    Reason.THROTTLED: lambda _, us: f"throttled for another {_about(us)}",
    Reason.TIMED_OUT: lambda _, missing: f"the time-out came without {', '.join(f'`{name}`' for name in missing) or 'a firing'}",
    Reason.TOO_OLD: lambda source, age_us, max_age_us: f"the event of {source} is {_about(age_us)} old, max_age is {_for(max_age_us)}",
    Reason.UNKNOWN: lambda source: f"the value of {source} is unknown",
    Reason.WAITS: lambda _, names, bits: f"it waits for {_names(names, bits)}",
    Reason.WHERE_ERROR: lambda source, error: f"`where` of {source} failed: {error}",
    Reason.WHERE_FALSE: lambda source: f"the message does not pass `where` of {source}",
}
