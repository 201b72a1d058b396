"""What can be wrong with one source of a group, whatever the others are."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from edgematrix.errors import ExpressionError, PathError, TopicError
from edgematrix.expression import ANY, Condition, Shape
from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.value import compile_value, is_unknown
from edgematrix.triggers.calendar import Calendar
from edgematrix.triggers.daytime import daytime_of
from edgematrix.triggers.finding import Finding, error, warning
from edgematrix.triggers.membership import Scalar
from edgematrix.triggers.source import ticks_of
from edgematrix.triggers.spec import Changes, SourceSpec

__all__ = ["check_source", "detectors_of", "filter_of", "is_level", "is_token"]

_LEVELS: Final = ("above", "below", "equals", "not", "during")
_CLOCKS: Final = ("during", "every", "cron", "at", "sun")
_DETECTORS: Final = ("above", "below", "equals", "not", "during", "is", "changes", "count", "absent", "every", "cron", "at", "sun")
_OF_MESSAGES: Final = ("value", "schema", "as", "where", "aggregate", "expires", "max_age", "qos", "retained")
_FIELDS: Final = {"not": "not_", "is": "is_", "as": "as_", "for": "for_", "from": "from_"}
_NUMERIC: Final = frozenset({"mean", "min", "max", "sum", "stddev"})


def check_source(name: str, spec: SourceSpec, calendar: Calendar, fields: Collection[str] = ()) -> Iterator[Finding]:
    """What is wrong, and what looks wrong, with a source."""
    yield from _check_origin(name, spec)
    yield from _check_detectors(name, spec)
    yield from _check_role(name, spec)
    yield from _check_value(name, spec)
    yield from _check_asked(name, spec)
    yield from _check_times(name, spec, calendar)
    yield from _check_where(name, spec, fields)


def detectors_of(spec: SourceSpec) -> list[str]:
    """The detectors that are given, by their names in a file; `above` with `below` is one."""
    found = [name for name in _DETECTORS if _get(spec, name) is not None]
    return [name for name in found if name != "below"] if "above" in found else found


def is_level(spec: SourceSpec) -> bool:
    """Whether a source is ON or OFF."""
    return any(_get(spec, name) is not None for name in _LEVELS)


def is_token(spec: SourceSpec) -> bool:
    """Whether a source yields tokens that wait."""
    return not is_level(spec) and spec.role in ("regular", "gate", "optional")


def filter_of(spec: SourceSpec) -> TopicFilter | None:
    """The filter of a source; None if it has none, or a wrong one."""
    try:
        return None if spec.topic is None else TopicFilter.parse(spec.topic)
    except TopicError:
        return None


def _get(spec: SourceSpec, name: str) -> object:
    return getattr(spec, _FIELDS.get(name, name))


def _given(spec: SourceSpec, names: Iterable[str]) -> list[str]:
    return [name for name in names if _get(spec, name) is not None]


def _check_origin(name: str, spec: SourceSpec) -> Iterator[Finding]:
    origins, clocks = _given(spec, ("topic", "from")), _given(spec, _CLOCKS)
    if clocks:
        for origin in origins:
            yield error(f"`{name}` goes by the clock (`{clocks[0]}`) and has no `{origin}`", "on", name, origin)
        for field in _given(spec, _OF_MESSAGES):
            yield error(f"`{name}` goes by the clock (`{clocks[0]}`), so there is no message for `{field}`", "on", name, field)
    elif not origins:
        yield error(f"`{name}` has neither a `topic`, nor a `from`, nor a clock", "on", name, remedy="say where its messages come from")
    elif len(origins) > 1:
        yield error(f"`{name}` has both `topic` and `from`", "on", name, "from", remedy="make two sources of it")
    if spec.topic is not None:
        try:
            TopicFilter.parse(spec.topic)
        except TopicError as wrong:
            yield error(wrong.what, "on", name, "topic")


def _check_detectors(name: str, spec: SourceSpec) -> Iterator[Finding]:
    detectors = detectors_of(spec)
    if len(detectors) > 1:
        both = " and ".join(f"`{detector}`" for detector in detectors)
        yield error(f"`{name}` has {both}; a source has one detector at most", "on", name, detectors[1], remedy="make two sources of it")
    if spec.above is not None and spec.below is not None and spec.above >= spec.below:
        what = f"`{name}` is never ON: nothing is above {spec.above:g} and below {spec.below:g}"
        yield error(what, "on", name, "above", remedy="for outside of a range take two sources, or a `where`")
    if spec.hysteresis is not None and spec.above is None and spec.below is None:
        yield error(f"`{name}` has `hysteresis` without `above` or `below`", "on", name, "hysteresis")
    if spec.for_ is not None and not is_level(spec):
        yield error(f"`{name}` has `for`, but is no level that could stay ON", "on", name, "for", remedy="give it `equals`, `above`, …")
    if spec.unknown == "break" and not is_level(spec):
        yield warning(f"`unknown: break` has no effect: `{name}` is no level", "on", name, "unknown")
    changes = spec.changes
    if isinstance(changes, Changes):
        if changes.by is not None and (changes.from_ is not None or changes.to is not None):
            yield error(f"`{name}` has `changes` with `by` and with `from` or `to`", "on", name, "changes", remedy="make two sources of it")
        elif changes.by is None and changes.from_ is None and changes.to is None:
            yield error(f"`changes` of `{name}` says nothing", "on", name, "changes", remedy="write `changes: true`")


def _check_role(name: str, spec: SourceSpec) -> Iterator[Finding]:
    detectors = detectors_of(spec)
    if spec.role == "live" and detectors:
        what = f"`{name}` is live: it has no detector, so `{detectors[0]}` contradicts"
        yield error(what, "on", name, detectors[0], remedy="`role: condition` is a level that judges nothing")
    if spec.role == "condition" and not is_level(spec):
        yield error(f"`{name}` is a condition but no level", "on", name, "role", remedy="give it `equals`, `above`, …")
    if spec.required and spec.role != "live":
        yield error(f"`{name}` is required but not live", "on", name, "required", remedy="a regular source is awaited anyway")
    if spec.keep != "latest" and not is_token(spec):
        yield warning(f"`keep: {spec.keep}` has no effect: `{name}` keeps no tokens", "on", name, "keep")
    if spec.expires is not None and not is_level(spec) and spec.role != "live":
        yield warning(f"`expires` has no effect: `{name}` is neither a level nor live", "on", name, "expires")


def _check_value(name: str, spec: SourceSpec) -> Iterator[Finding]:
    try:
        compile_value(spec.value, spec.as_)
    except PathError as wrong:
        yield error(wrong.what, "on", name, "value")
    by = isinstance(spec.changes, Changes) and spec.changes.by is not None
    numeric = spec.above is not None or spec.below is not None or by
    counted = spec.aggregate is not None and spec.aggregate.fn == "count"
    figure = spec.aggregate is not None and spec.aggregate.fn in _NUMERIC
    if isinstance(spec.value, Mapping):
        if spec.as_ is not None:
            yield error(f"the value of `{name}` is an object, which is no {spec.as_}", "on", name, "as")
        if figure or (numeric and not counted):
            yield error(f"the value of `{name}` is an object where a number is needed", "on", name, "value")
        elif _asked(spec) and not counted:
            yield error(f"the value of `{name}` is an object, which is never equal to what is asked for", "on", name, "value")
    elif spec.as_ == "bool" and (figure or (numeric and not counted)):
        yield error(f"`{name}` is read as a flag where a number is needed", "on", name, "as", remedy="take `as: number`")


def _asked(spec: SourceSpec) -> list[tuple[str, list[Scalar]]]:
    """The values that a source asks for, by the key that names them."""
    found: list[tuple[str, object]] = [("equals", spec.equals), ("not", spec.not_), ("is", spec.is_)]
    if isinstance(spec.changes, Changes):
        found += [("changes", spec.changes.from_), ("changes", spec.changes.to)]
    return [
        (key, value if isinstance(value, list) else [value]) for key, value in found if isinstance(value, (list, str, bool, int, float))
    ]


def _check_asked(name: str, spec: SourceSpec) -> Iterator[Finding]:
    figure = "number" if spec.aggregate is not None and spec.aggregate.fn != "last" else spec.as_
    for key, values in _asked(spec):
        for value in values:
            if is_unknown(value):
                what = f"`{name}` asks for {value!r}, which stands for an unknown value and is never seen"
                found = warning if key == "not" else error
                yield found(what, "on", name, key, remedy="`absent`, `expires` or `unknown: break` tell that a value is missing")
            elif (figure == "number" and type(value) not in (int, float)) or (figure == "bool" and type(value) is not bool):
                kind = "a number" if figure == "number" else "a flag"
                yield error(f"`{name}` gives {kind}, which is never {value!r}", "on", name, key)


def _check_times(name: str, spec: SourceSpec, calendar: Calendar) -> Iterator[Finding]:
    for key in ("every", "absent", "expires"):
        if _get(spec, key) == 0:
            yield error(f"`{key}` of `{name}` is 0", "on", name, key, remedy="give it a duration such as 30s")
    for key in _given(spec, ("cron", "at", "sun")):
        try:
            ticks_of(SourceSpec(**{key: _get(spec, key)}), calendar)  # type: ignore[arg-type]  # the three are texts
        except ValueError as wrong:
            yield error(str(wrong), "on", name, key)
    if spec.during is not None:
        try:
            daytime_of(spec.during, calendar)
        except ValueError as wrong:
            yield error(str(wrong), "on", name, "during")


def _check_where(name: str, spec: SourceSpec, fields: Collection[str]) -> Iterator[Finding]:
    if spec.where is None:
        return
    topic_filter = filter_of(spec)
    captures: Shape = dict.fromkeys(topic_filter.names if topic_filter is not None else (), ANY)
    names: dict[str, Shape] = dict.fromkeys(fields, ANY)
    names |= {"value": ANY, "payload": ANY, "topic": ANY, "prev": ANY, "captures": captures}
    try:
        Condition.compile(spec.where, names)
    except ExpressionError as wrong:
        yield error(f"{wrong.what} ({wrong.where})", "on", name, "where", remedy=wrong.remedy)
