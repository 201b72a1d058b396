"""An observation as data: what `em/trace` carries and what a host answers when it is asked what happened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from edgematrix.errors import CodecError
from edgematrix.protocol.codec import encode_value
from edgematrix.protocol.moment import format_moment
from edgematrix.runtime.observation import DeadLettered, Dropped, Fired, NotFired, Observation, Outcome, RunEnded, Stalled
from edgematrix.triggers import Firing, Reading

_encode = msgspec.json.Encoder(decimal_format="number").encode

__all__ = ["Account", "account_of", "compact", "group_of", "key_of"]

Account = dict[str, object]
"""`kind`, `at` (RFC 3339), `text` (what people read), and by kind: `group`, `key`, `run`, `source`, `reason`, `sources`, …"""

_VALUE_LENGTH_MAX = 200
"""A longer value of a firing is told as the beginning of its JSON text."""
_TEXT_LENGTH_MAX = 500


def account_of(seen: Observation, skew_us: int = 0) -> Account:
    """Tell an observation; nothing in it is longer than a few hundred characters.

    Args:
        seen: any observation but a message received or published: these travel on the bus anyway.
        skew_us: the wall clock less the host's timeline.
    """
    kind, about = _TELL[type(seen)](seen)
    return {"kind": kind, "at": format_moment(seen.at_us + skew_us), **about}


def compact(seen: Observation) -> Observation:
    """The observation without what could make it large: payloads are left out, long values and reasons are cut."""
    if isinstance(seen, Fired):
        firing = seen.firing
        sources = {name: None if reading is None else _brief_reading(reading) for name, reading in firing.sources.items()}
        brief = Firing(firing.group, firing.key, sources, missing=firing.missing, fired_at_us=firing.fired_at_us)
        return Fired(seen.at_us, seen.path, seen.group, seen.run, brief)
    if isinstance(seen, (RunEnded, DeadLettered, Dropped)) and len(seen.reason) > _TEXT_LENGTH_MAX:
        return msgspec.structs.replace(seen, reason=_cut(seen.reason))
    return seen


def group_of(seen: Observation) -> str | None:
    """The trigger group that it is about; None if it is about none."""
    if isinstance(seen, NotFired):
        return seen.trace.group
    return seen.group if isinstance(seen, (Fired, RunEnded)) else None


def key_of(seen: Observation) -> str | None:
    """The key of the group's state that it is about; None if it has none, or does not tell."""
    if isinstance(seen, NotFired):
        return seen.trace.key
    return seen.firing.key if isinstance(seen, Fired) else None


def _fired(seen: Fired) -> tuple[str, Account]:
    firing = seen.firing
    sources = {
        name: None if reading is None else {"value": _brief(reading.value), "topic": _brief(reading.topic)}
        for name, reading in firing.sources.items()
    }
    about = {"group": seen.group, "key": firing.key, "run": seen.run, "sources": sources, "missing": list(firing.missing)}
    return "fired", {**about, "text": f"`{seen.group}`{_of_key(firing.key)} fired{_because(sources, firing.missing)}"}


def _because(sources: Mapping[str, Mapping[str, Any] | None], missing: tuple[str, ...]) -> str:
    """What took part: a clock by its name alone."""
    parts = [
        name if reading["topic"] is None and reading["value"] is None else f"{name}={_encode(reading['value']).decode()}"
        for name, reading in sources.items()
        if reading is not None
    ]
    parts += [f"`{name}` is missing" for name in missing]
    return f": {' '.join(parts)}" if parts else ""


def _not_fired(seen: NotFired) -> tuple[str, Account]:
    trace = seen.trace
    about = {"group": trace.group, "key": trace.key, "source": trace.source, "reason": str(trace.reason)}
    return "not_fired", {**about, "text": _cut(trace.describe())}


_OUTCOMES = {
    Outcome.DONE: "is done",
    Outcome.STOPPED: "stopped",
    Outcome.FAILED: "failed",
    Outcome.CANCELLED: "was cancelled",
    Outcome.ABANDONED: "was abandoned",
}


def _run_ended(seen: RunEnded) -> tuple[str, Account]:
    why = f": {_cut(seen.reason)}" if seen.reason else ""
    about = {"group": seen.group, "run": seen.run, "outcome": str(seen.outcome), "reason": _cut(seen.reason)}
    return "run_ended", {**about, "text": f"run {seen.run} of `{seen.group}` {_OUTCOMES[seen.outcome]}{why}"}


def _dead_lettered(seen: DeadLettered) -> tuple[str, Account]:
    topic, reason = _cut(seen.topic), _cut(seen.reason)
    return "dead_lettered", {"topic": topic, "reason": reason, "text": f"a message on {topic} could not be handled: {reason}"}


def _dropped(seen: Dropped) -> tuple[str, Account]:
    topic, reason = _cut(seen.topic), _cut(seen.reason)
    return "dropped", {"topic": topic, "reason": reason, "text": f"a message on {topic} was given up: {reason}"}


def _stalled(seen: Stalled) -> tuple[str, Account]:
    return "stalled", {"stall_ms": seen.stall_ms, "text": f"its code kept the host from working for {seen.stall_ms} ms"}


_TELL: dict[type, Callable[[Any], tuple[str, Account]]] = {
    Fired: _fired,
    NotFired: _not_fired,
    RunEnded: _run_ended,
    DeadLettered: _dead_lettered,
    Dropped: _dropped,
    Stalled: _stalled,
}


def _brief_reading(reading: Reading) -> Reading:
    return Reading(_brief(reading.value), None, _brief(reading.topic), reading.time_us)


def _brief(value: object) -> object:
    """The value itself if it is small JSON, else the beginning of its text."""
    kind = type(value)
    if value is None or kind is int or kind is bool:
        return value
    if isinstance(value, str):
        return _cut(value, _VALUE_LENGTH_MAX)
    if isinstance(value, bytes):
        return f"({len(value)} bytes)"
    try:
        text = encode_value(value).decode()
    except CodecError:
        return _cut(repr(value), _VALUE_LENGTH_MAX)  # such as an infinite mean
    return value if len(text) <= _VALUE_LENGTH_MAX else _cut(text, _VALUE_LENGTH_MAX)


def _of_key(key: str | None) -> str:
    return "" if key is None else f" for {key!r}"


def _cut(text: str, length_max: int = _TEXT_LENGTH_MAX) -> str:
    return text if len(text) <= length_max else text[: length_max - 1] + "…"
