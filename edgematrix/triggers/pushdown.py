"""A trigger group as a rule that a board judges itself (docs/spec/triggers.md, "Pushed down").

What a board does with a rule is in `firmware_bridge/upy/rules.py`; the numbers here are those there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from edgematrix.triggers.detector import sum_as_written
from edgematrix.triggers.spec import Changes, GroupSpec, SourceSpec

__all__ = ["BYTES_MAX", "RULES_MAX", "SAMPLES_MAX", "SOURCES_MAX", "VERSION", "Form", "rule_form", "sieve_form"]

Form: TypeAlias = list[Any]
"""`[need, sources, stages]`, as JSON knows it: a rule of a table without its id and its actions."""

VERSION: Final = 1
RULES_MAX: Final = 32
SOURCES_MAX: Final = 8
SAMPLES_MAX: Final = 32
BYTES_MAX: Final = 4_096
"""A whole table as JSON."""

_TEXT_BYTES_MAX: Final = 64
_VALUES_MAX: Final = 16
_DEPTH_MAX: Final = 8
_DURATION_MS_MAX: Final = (1 << 30) - 1
"""The largest small integer of a 32-bit chip: 12 days."""
_DIGITS_MAX: Final = 6
_WHOLE_MAX: Final = 1 << 22
"""Up to here whole numbers are exact in the shortest floats that boards have."""

_NEEDS: Final = {"all": 0, "any": -1}
_ROLES: Final = {"regular": 0, "condition": 3, "live": 5}
_RANGE, _MEMBER, _PLAIN, _LIVE, _IS, _CHANGES, _CHANGES_BY, _COUNT = range(8)
_NUMBER, _BREAKS = 1, 2
_FIGURES: Final = {"mean": 0, "min": 1, "max": 2, "sum": 3, "count": 4, "last": 5}
_NUMERIC: Final = ("mean", "min", "max", "sum")
_CLOCKS: Final = ("during", "every", "cron", "at", "sun")


def rule_form(spec: GroupSpec, ports: Mapping[str, str]) -> Form:
    """The rule of a group all of whose sources are outputs of one board.

    With `if:`, which the host judges, the rule has no stages: what comes after the condition is the host's, too.

    Args:
        spec: the group.
        ports: by source, the board's port that it reads; a source that is missing reads something else.

    Raises:
        ValueError: the group cannot be pushed down; the text says why, for people.
    """
    _check_group(spec)
    sources = [_source(name, source, ports) for name, source in spec.on.items()]
    need = _NEEDS[spec.need] if isinstance(spec.need, str) else spec.need
    stages = None if spec.if_ is not None else _stages(spec)
    return [need, sources, stages]


def sieve_form(name: str, spec: SourceSpec, port: str, *, is_read: bool) -> Form | None:
    """A source of a group that the host judges, as a board knows which values make a difference to it. None where all of them do.

    Args:
        name: the source's.
        spec: the source.
        port: the board's, which it reads.
        is_read: whether anybody may read the value itself: of a level only the side is told then.
    """
    is_level = spec.above is not None or spec.below is not None or spec.equals is not None or spec.not_ is not None
    tells = spec.is_ is not None or spec.changes is not None or (is_level and not is_read)
    others = (spec.where, spec.as_, spec.expires, spec.aggregate, spec.max_age)
    if not tells or any(part is not None for part in others) or isinstance(spec.value, dict):
        return None
    try:
        kind, asked = _detector(name, spec)
        flags = (_NUMBER if _needs_number(spec) else 0) | (_BREAKS if spec.unknown == "break" else 0)
        return [port, _path(name, spec), 0, kind, [None, None] if kind == _CHANGES else asked, 0, flags, None]
    except ValueError:
        return None


def _check_group(spec: GroupSpec) -> None:
    if len(spec.on) > SOURCES_MAX:
        raise ValueError(f"it has {len(spec.on)} sources, a board judges {SOURCES_MAX}")
    asked = {
        "by": spec.by is not None,
        "need: sequence": spec.need == "sequence",
        "within": spec.within is not None,
        "timeout": spec.timeout is not None,
        "if_false: keep": spec.if_ is not None and spec.if_false == "keep",
    }
    found = next((name for name, is_there in asked.items() if is_there), None)
    if found is not None:
        raise ValueError(f"boards do not know `{found}`")


def _source(name: str, spec: SourceSpec, ports: Mapping[str, str]) -> Form:
    clock = next((key for key in _CLOCKS if getattr(spec, key) is not None), None)
    if clock is not None:
        raise ValueError(f"`{name}` goes by the clock (`{clock}`), which is the host's")
    if name not in ports:
        raise ValueError(f"`{name}` is not of this board")
    if spec.absent is not None:
        raise ValueError(f"only the host hears that the board is silent (`{name}`: `absent`)")
    _check_source(name, spec)
    kind, asked = _detector(name, spec)
    flags = (_NUMBER if _needs_number(spec) else 0) | (_BREAKS if spec.unknown == "break" else 0)
    path = _path(name, spec)
    return [ports[name], path, _ROLES[spec.role], kind, asked, _ms(name, "for", spec.for_), flags, _fold(name, spec)]


def _check_source(name: str, spec: SourceSpec) -> None:
    if spec.role not in _ROLES:
        raise ValueError(f"boards do not know `role: {spec.role}` (`{name}`)")
    asked = {
        "where": spec.where is not None,
        "as": spec.as_ is not None,
        "expires": spec.expires is not None,
        "required": spec.required,
        f"keep: {spec.keep}": spec.keep != "latest",
        "value: {…}": isinstance(spec.value, dict),
    }
    found = next((key for key, is_there in asked.items() if is_there), None)
    if found is not None:
        raise ValueError(f"boards do not know `{found}` (`{name}`)")


def _detector(name: str, spec: SourceSpec) -> tuple[int, Any]:
    """The kind of a source, and what it asks for."""
    if spec.above is not None or spec.below is not None:
        return _RANGE, _range(name, spec)
    if spec.equals is not None or spec.not_ is not None:
        inside = spec.equals is not None
        return _MEMBER, [int(inside), _several(name, spec.equals if inside else spec.not_)]
    return (_LIVE, None) if spec.role == "live" else _event(name, spec)


def _event(name: str, spec: SourceSpec) -> tuple[int, Any]:
    if spec.is_ is not None:
        return _IS, _several(name, spec.is_)
    if spec.count is not None:
        if spec.count.within is not None and spec.count.at_least > SAMPLES_MAX:
            raise ValueError(f"`{name}` counts {spec.count.at_least}, a board remembers {SAMPLES_MAX}")
        return _COUNT, [spec.count.at_least, None if spec.count.within is None else _ms(name, "within", spec.count.within)]
    if isinstance(spec.changes, Changes):
        if spec.changes.by is not None:
            return _CHANGES_BY, _number(name, spec.changes.by)
        ends = (spec.changes.from_, spec.changes.to)
        return _CHANGES, [None if end is None else _several(name, end) for end in ends]
    return (_PLAIN, None) if spec.changes is None else (_CHANGES, [None, None])


def _range(name: str, spec: SourceSpec) -> Form:
    """`[above, off above, below, off below]`: where the level turns ON, and where it turns OFF again."""
    width = spec.hysteresis or 0.0
    low, high = spec.above, spec.below
    off_low = None if low is None else sum_as_written(low, -width)
    off_high = None if high is None else sum_as_written(high, width)
    return [None if bound is None else _number(name, bound) for bound in (low, off_low, high, off_high)]


def _several(name: str, asked: object) -> Form:
    values: Sequence[object] = asked if isinstance(asked, list) else [asked]
    if len(values) > _VALUES_MAX:
        raise ValueError(f"`{name}` asks for {len(values)} values, a board for {_VALUES_MAX}")
    return [_scalar(name, value) for value in values]


def _scalar(name: str, value: object) -> object:
    if isinstance(value, str):
        if len(value.encode()) > _TEXT_BYTES_MAX:
            raise ValueError(f"`{name}` asks for a text of over {_TEXT_BYTES_MAX} bytes")
        return value
    return value if isinstance(value, bool) else _number(name, value)


def _number(name: str, value: Any) -> float:
    """A number that the shortest floats tell from its neighbours."""
    if value == int(value) and abs(value) <= _WHOLE_MAX:
        return int(value)
    digits = repr(float(value)).partition("e")[0].lstrip("-").replace(".", "").strip("0")
    if len(digits) > _DIGITS_MAX:
        raise ValueError(f"`{name}` compares with {value!r}; numbers of boards have {_DIGITS_MAX} digits")
    return float(value)


def _path(name: str, spec: SourceSpec) -> Form | None:
    if spec.value is None:
        return None
    steps = spec.value.split(".") if isinstance(spec.value, str) else list(spec.value)
    if len(steps) > _DEPTH_MAX or any(len(str(step).encode()) > _TEXT_BYTES_MAX for step in steps):
        raise ValueError(f"the path of `{name}` has over {_DEPTH_MAX} steps, or one of over {_TEXT_BYTES_MAX} bytes")
    return steps


def _needs_number(spec: SourceSpec) -> bool:
    """As `edgematrix.triggers.source` has it."""
    if spec.aggregate is not None and spec.aggregate.fn in _NUMERIC:
        return True
    if spec.aggregate is not None and spec.aggregate.fn == "count":
        return False
    by = isinstance(spec.changes, Changes) and spec.changes.by is not None
    return by or spec.above is not None or spec.below is not None


def _fold(name: str, spec: SourceSpec) -> Form | None:
    window = spec.aggregate
    if window is None:
        return None
    if window.fn not in _FIGURES:
        raise ValueError(f"boards do not know `aggregate: {window.fn}` (`{name}`)")
    if window.min_samples > SAMPLES_MAX:
        raise ValueError(f"`{name}` needs {window.min_samples} samples, a board remembers {SAMPLES_MAX}")
    return [_FIGURES[window.fn], _ms(name, "over", window.over), window.min_samples]


def _stages(spec: GroupSpec) -> Form | None:
    """`[cooldown, limit, its time, throttle, debounce]` in milliseconds, 0 for none; None if there is none of them."""
    limit = spec.limit if spec.limit is not None and spec.limit.per else None
    if limit is not None and limit.count > SAMPLES_MAX:
        raise ValueError(f"`limit` counts {limit.count}, a board remembers {SAMPLES_MAX}")
    found = [
        _ms("cooldown", "", spec.cooldown),
        0 if limit is None else limit.count,
        0 if limit is None else _ms("limit", "per", limit.per),
        _ms("throttle", "", spec.throttle),
        _ms("debounce", "", spec.debounce),
    ]
    return found if any(found) else None


def _ms(name: str, key: str, duration_us: int | None) -> int:
    """A duration in milliseconds; 0 for none."""
    where = f"`{name}`: `{key}`" if key else f"`{name}`"
    length_ms, rest_us = divmod(duration_us or 0, 1_000)
    if rest_us:
        raise ValueError(f"boards count whole milliseconds ({where})")
    if length_ms > _DURATION_MS_MAX:
        raise ValueError(f"boards count up to 12 days ({where})")
    return length_ms
