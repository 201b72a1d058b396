"""A source of a group, compiled from its definition."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

from edgematrix.errors import PathError
from edgematrix.expression import ANY, Condition, Shape
from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.value import compile_value
from edgematrix.triggers.calendar import Calendar
from edgematrix.triggers.daytime import Daytime, daytime_of
from edgematrix.triggers.detector import Level, level_of
from edgematrix.triggers.membership import Test, one_of
from edgematrix.triggers.spec import Aggregate, Changes, SourceSpec
from edgematrix.triggers.ticks import Ticks, at_ticks, cron_ticks, sun_ticks
from edgematrix.triggers.trace import Trace
from edgematrix.triggers.wording import asked

__all__ = [
    "ABSENT", "ALL", "CHANGES", "CHANGES_BY", "CLOCK", "CONDITION", "COUNT", "DURING", "FIRE", "FIRST", "GATE", "IGNORE", "IS",
    "LATEST", "LEVEL", "LIVE", "OPTIONAL", "PLAIN", "REGULAR", "RESET", "SEED", "TURN", "Source", "ticks_of",
]  # fmt: skip

Read: TypeAlias = Callable[[Any], Any]

# Kinds: how a value becomes a token or a side. Small numbers, for they are compared at each message.
LEVEL: Final = 0
PLAIN: Final = 1
LIVE: Final = 2
IS: Final = 3
CHANGES: Final = 4
CHANGES_BY: Final = 5
COUNT: Final = 6
ABSENT: Final = 7
CLOCK: Final = 8
DURING: Final = 9

# Roles.
REGULAR: Final = 0
GATE: Final = 1
OPTIONAL: Final = 2
CONDITION: Final = 3
RESET: Final = 4
_LIVE_ROLE: Final = 5
_ROLES: Final = {"regular": REGULAR, "gate": GATE, "optional": OPTIONAL, "condition": CONDITION, "reset": RESET, "live": _LIVE_ROLE}

# What a retained message does.
SEED: Final = 0
FIRE: Final = 1
IGNORE: Final = 2
TURN: Final = 3
_RETAINED: Final = {None: SEED, "seed": SEED, "fire": FIRE, "ignore": IGNORE, "changed": TURN}

# Which tokens a source keeps.
LATEST: Final = 0
FIRST: Final = 1
ALL: Final = 2
_KEEPS: Final = {"latest": LATEST, "first": FIRST, "all": ALL}

_NUMBER_BITS_MAX: Final = 1_000
_ANY_VALUE: Final = frozenset({"count", "last"})


class Source:
    """One compiled source; what is not asked for is None.

    `bit` stands for it in masks. `level` and `test` are the detector's functions, `span_us` the time of `absent`,
    `every` or `count`, `ticks` a clock that goes by the calendar, `daytime` that of `during`. `asked` is what a level
    asks for, in words. `shared` sources of a keyed group lack the key's capture. `steady` are the traces of an ON and an
    OFF that stay, made once needed. `remembers` tells that earlier messages have a part in what it gives, `remembers_one` that only the
    last one has, `reach_us` how far back.
    """

    __slots__ = (
        "aggregate", "asked", "at_least", "base_by", "bit", "breaks", "daytime", "expires_us", "fields", "for_us", "group", "index", "keep",
        "keep_max", "kind", "level", "level_like", "max_age_us", "name", "reach_us", "read", "remembers", "remembers_one", "required",
        "retained", "role", "shared", "span_us", "steady", "test", "ticks", "timed", "was", "where",
    )  # fmt: skip

    def __init__(
        self, spec: SourceSpec, *, index: int, name: str, group: str, calendar: Calendar, shared: bool, fields: Collection[str] = ()
    ) -> None:
        self.index = index
        self.bit = 1 << index
        self.name = name
        self.group = group
        self.role: int = _ROLES[spec.role]
        self.shared = shared
        self.required = spec.required
        self.retained: int = _RETAINED[spec.retained]
        self.keep: int = _KEEPS[spec.keep]
        self.keep_max = spec.keep_max
        self.breaks = spec.unknown == "break"
        self.for_us = spec.for_ or None
        self.max_age_us = spec.max_age
        self.aggregate: Aggregate | None = spec.aggregate
        self.level: Level | None = level_of(spec)
        self.asked = asked(spec)
        self.daytime: Daytime | None = None if spec.during is None else daytime_of(spec.during, calendar)
        self.ticks: Ticks | None = ticks_of(spec, calendar)
        self.kind: int = _kind(spec, self)
        self.level_like = self.kind in (LEVEL, DURING)
        self.expires_us = spec.expires if self.kind in (LEVEL, LIVE) else None
        self.span_us = spec.every if spec.absent is None else spec.absent
        if self.span_us == 0:
            raise ValueError("`absent` and `every` are longer than 0")
        self.test: Test | None = None
        self.was: Test | None = None
        self.base_by: float | None = None
        self.at_least = 0
        self._detect(spec)
        self.read = _reader(spec)
        self.fields = tuple(fields)
        self.where = None if spec.where is None else _where(spec, self.fields)
        self.timed = self.for_us is not None or self.expires_us is not None or self.kind in (ABSENT, CLOCK, DURING)
        self.steady: tuple[Trace, Trace] | None = None
        holds = self.kind == LEVEL and bool(self.for_us or spec.hysteresis)
        over = None if spec.aggregate is None or holds else spec.aggregate.over
        self.reach_us = self.span_us if self.kind == COUNT and spec.aggregate is None else over
        by_last = self.kind == CHANGES or (spec.where is not None and "prev" in spec.where)
        by_more = spec.aggregate is not None or holds or self.kind in (CHANGES_BY, COUNT)
        self.remembers = by_last or by_more
        self.remembers_one = by_last and not by_more

    def _detect(self, spec: SourceSpec) -> None:
        if spec.is_ is not None:
            self.test = one_of(spec.is_)
        elif isinstance(spec.changes, Changes):
            self.base_by = spec.changes.by
            self.was = None if spec.changes.from_ is None else one_of(spec.changes.from_)
            self.test = None if spec.changes.to is None else one_of(spec.changes.to)
        elif spec.count is not None:
            self.at_least = spec.count.at_least
            self.span_us = spec.count.within


def ticks_of(spec: SourceSpec, calendar: Calendar) -> Ticks | None:
    """The clock of `cron`, `at` or `sun`.

    Raises:
        ValueError: it cannot be read.
    """
    if spec.cron is not None:
        return cron_ticks(spec.cron, calendar)
    if spec.at is not None:
        return at_ticks(spec.at, calendar)
    return None if spec.sun is None else sun_ticks(spec.sun, calendar)


def _kind(spec: SourceSpec, source: Source) -> int:
    by = isinstance(spec.changes, Changes) and spec.changes.by is not None
    clock = source.ticks is not None or spec.every is not None
    found = (
        (source.level is not None, LEVEL),
        (source.daytime is not None, DURING),
        (spec.role == "live", LIVE),
        (spec.is_ is not None, IS),
        (spec.changes is not None, CHANGES_BY if by else CHANGES),
        (spec.count is not None, COUNT),
        (spec.absent is not None, ABSENT),
        (clock, CLOCK),
    )
    return next((kind for is_it, kind in found if is_it), PLAIN)


def _reader(spec: SourceSpec) -> Read:
    """The function that reads the value; None where it is unknown, or no number though one is needed."""
    path = spec.value
    try:
        if path is None or isinstance(path, str):
            return _shared_reader(path, spec.as_, _needs_number(spec))
        read = compile_value(path, spec.as_)
    except PathError as error:
        raise ValueError(str(error)) from None
    return _numeric(read) if _needs_number(spec) else read


@lru_cache(maxsize=4096)
def _shared_reader(path: str | None, read_as: Literal["number", "bool"] | None, needs_number: bool) -> Read:
    """Groups of one kind share their readers."""
    read = compile_value(path, read_as)
    return _numeric(read) if needs_number else read


def _needs_number(spec: SourceSpec) -> bool:
    if spec.aggregate is not None and spec.aggregate.fn not in _ANY_VALUE:
        return True
    if spec.aggregate is not None and spec.aggregate.fn == "count":
        return False
    by = isinstance(spec.changes, Changes) and spec.changes.by is not None
    return by or spec.above is not None or spec.below is not None


def _numeric(read: Read) -> Read:
    def number(payload: Any) -> Any:
        value = read(payload)
        kind = type(value)
        if kind is float or (kind is int and value.bit_length() <= _NUMBER_BITS_MAX):
            return value
        return None

    return number


def _where(spec: SourceSpec, fields: Collection[str]) -> Condition:
    captures = TopicFilter.parse(spec.topic).names if spec.topic is not None else ()
    names: dict[str, Shape] = dict.fromkeys(fields, ANY)
    names |= {"value": ANY, "payload": ANY, "topic": ANY, "prev": ANY, "captures": dict.fromkeys(captures, ANY)}
    return Condition.compile(spec.where or "", names)
