"""Definitions of trigger groups as they stand in a file (docs/spec/triggers.md). Read-only once made."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, Strict
from pydantic.dataclasses import dataclass

from edgematrix.protocol.fields import PART, Duration, Flag, Microseconds, Number, Scalar, Whole

__all__ = ["Aggregate", "Changes", "Count", "GroupSpec", "Limit", "SourceSpec", "Window"]

Several = Annotated[list[Scalar], Field(min_length=1)]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Role = Literal["regular", "gate", "live", "optional", "condition", "reset"]


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class Aggregate:
    """Replaces the value of a source by that of its sliding window."""

    fn: Literal["mean", "min", "max", "sum", "count", "last", "stddev"]
    over: Duration
    min_samples: Whole = Field(default=1, ge=1)


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class Changes:
    """What kind of change gives a token."""

    from_: Scalar | Several | None = Field(default=None, alias="from")
    to: Scalar | Several | None = None
    by: Number | None = Field(default=None, gt=0)


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class Count:
    """A token when `at_least` messages lie within `within`."""

    at_least: Whole = Field(ge=1, le=10_000)
    within: Duration | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class Window:
    """A stretch of the day, past midnight too; `from` and `to` are `HH:MM[:SS]` or a sun event with an offset."""

    from_: str = Field(alias="from")
    to: str
    days: list[Day] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class Limit:
    """At most `count` firings in any stretch of `per`."""

    count: Whole = Field(ge=1, le=10_000)
    per: Duration


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class SourceSpec:
    """One source of a group: where its messages come from, how a value is read, and what makes it ready."""

    topic: str | None = None
    from_: str | None = Field(default=None, alias="from")
    value: str | list[str | Whole] | dict[str, str | list[str | Whole]] | None = None
    schema: dict[str, Any] | None = None
    """JSON Schema of the value: its properties are names in `where`. Agents with code check it when they read the value."""
    as_: Literal["number", "bool"] | None = Field(default=None, alias="as")
    where: str | None = None
    aggregate: Aggregate | None = None
    expires: Duration | None = None
    max_age: Duration | None = None
    qos: Literal[0, 1] | None = None
    untrusted: Flag = False
    """Whether texts from outside are in it: what follows from them is tainted, whoever reads the topic."""
    role: Role = "regular"
    required: Flag = False
    above: Number | None = None
    below: Number | None = None
    hysteresis: Number | None = Field(default=None, ge=0)
    equals: Scalar | Several | None = None
    not_: Scalar | Several | None = Field(default=None, alias="not")
    during: str | Window | None = None
    is_: Scalar | Several | None = Field(default=None, alias="is")
    changes: Literal[True] | Changes | None = None
    count: Count | None = None
    absent: Duration | None = None
    every: Duration | None = None
    cron: str | None = None
    at: str | None = None
    sun: str | None = None
    for_: Duration | None = Field(default=None, alias="for")
    unknown: Literal["keep", "break"] = "keep"
    retained: Literal["seed", "fire", "ignore", "changed"] | None = None
    keep: Literal["latest", "first", "all"] = "latest"
    keep_max: Whole = Field(default=100, ge=1, le=10_000)


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class GroupSpec:
    """One trigger group."""

    on: Annotated[dict[str, SourceSpec], Field(min_length=1, max_length=64)]
    by: str | None = None
    need: Literal["all", "any", "sequence"] | Annotated[int, Strict(), Field(ge=1)] = "all"
    within: Duration | None = None
    if_: str | None = Field(default=None, alias="if")
    if_false: Literal["consume", "keep"] = "consume"
    timeout: Duration | None = None
    on_timeout: Literal["fire", "drop"] = "drop"
    cooldown: Duration | None = None
    limit: Limit | None = None
    throttle: Duration | None = None
    debounce: Duration | None = None
    mode: Literal["single", "restart", "queued", "parallel"] = "single"
    max: Whole = Field(default=10, ge=1, le=10_000)
    overflow: Literal["drop_new", "drop_old", "dead_letter"] = "drop_new"
    rate_max: Literal["none"] | Annotated[int, Strict(), Field(ge=1)] | None = None
    """Firings per second, beyond which the group pauses; 1,000 where nothing is said."""
    keys_max: Whole = Field(default=10_000, ge=1, le=1_000_000)
    on_restart: Literal["resume", "fire", "drop"] = "resume"
    misfire_grace: Duration = Microseconds(60_000_000)
    durable: Flag | None = None
