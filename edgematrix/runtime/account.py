"""An observation as data: what `em/trace` carries and what a host answers when it is asked what happened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from edgematrix.errors import CodecError
from edgematrix.protocol.codec import encode_value
from edgematrix.protocol.moment import format_moment
from edgematrix.runtime.abridgement import abridged, shortened
from edgematrix.runtime.observation import (
    DeadLettered,
    Dropped,
    Fired,
    Noted,
    NotFired,
    Observation,
    Outcome,
    RunEnded,
    Stalled,
    StepBegan,
    StepEnded,
)

_encode = msgspec.json.Encoder(decimal_format="number").encode

__all__ = ["TEXT_LENGTH_MAX", "VALUE_LENGTH_MAX", "Account", "account_of", "brief", "group_of", "key_of"]

Account = dict[str, object]
"""`kind`, `at` (RFC 3339), `text` (what people read), and by kind: `group`, `key`, `run`, `runid`, `source`, `reason`, `step`, …"""

VALUE_LENGTH_MAX = 200
"""A longer value of a firing is told as the beginning of its JSON text."""
_SHOWN_LENGTH_MAX = 120
"""And in `text` so much of it,"""
_ALL_SHOWN_LENGTH_MAX = 350
"""of all values together so much."""
TEXT_LENGTH_MAX = 500
"""A longer reason or note is cut."""


def account_of(seen: Observation, skew_us: int = 0) -> Account:
    """Tell an observation; nothing in it is longer than a few hundred characters.

    Args:
        seen: any observation but a message received or published: these travel on the bus anyway.
        skew_us: the wall clock less the host's timeline.
    """
    kind, about = _TELL[type(seen)](seen)
    return {"kind": kind, "at": format_moment(seen.at_us + skew_us), **about}


def brief(value: object, length_max: int = VALUE_LENGTH_MAX) -> object:
    """The value as JSON that is not long: itself, or the beginning of its text."""
    found = abridged(value, length_max)
    try:
        encode_value(found)
    except CodecError:
        return shortened(repr(found), length_max)  # such as an infinite mean
    return found


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
        name: None if reading is None else {"value": brief(reading.value), "topic": brief(reading.topic)}
        for name, reading in firing.sources.items()
    }
    about = {"group": seen.group, "key": firing.key, "run": seen.run, "sources": sources, "missing": list(firing.missing)}
    if seen.runid:
        about["runid"] = seen.runid
    return "fired", {**about, "text": f"`{seen.group}`{_of_key(firing.key)} fired{_because(sources, firing.missing)}"}


def _because(sources: Mapping[str, Mapping[str, Any] | None], missing: tuple[str, ...]) -> str:
    """What took part: a clock by its name alone."""
    parts = [
        name if reading["topic"] is None and reading["value"] is None else f"{name}={_shown(reading['value'])}"
        for name, reading in sources.items()
        if reading is not None
    ]
    parts += [f"`{name}` is missing" for name in missing]
    return f": {shortened(' '.join(parts), _ALL_SHOWN_LENGTH_MAX)}" if parts else ""


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
    about: Account = {"group": seen.group, "run": seen.run, "outcome": str(seen.outcome), "reason": _cut(seen.reason)}
    if seen.runid:
        about["runid"] = seen.runid
    return "run_ended", {**about, "text": f"run {seen.run} of `{seen.group}` {_OUTCOMES[seen.outcome]}{why}"}


def _dead_lettered(seen: DeadLettered) -> tuple[str, Account]:
    topic, reason = _cut(seen.topic), _cut(seen.reason)
    return "dead_lettered", {"topic": topic, "reason": reason, "text": f"a message on {topic} could not be handled: {reason}"}


def _dropped(seen: Dropped) -> tuple[str, Account]:
    topic, reason = _cut(seen.topic), _cut(seen.reason)
    return "dropped", {"topic": topic, "reason": reason, "text": f"a message on {topic} was given up: {reason}"}


def _stalled(seen: Stalled) -> tuple[str, Account]:
    return "stalled", {"stall_ms": seen.stall_ms, "text": f"its code kept the host from working for {seen.stall_ms} ms"}


def _step_began(seen: StepBegan) -> tuple[str, Account]:
    inputs = {port: brief(value) for port, value in seen.inputs}
    about = {
        "runid": seen.runid,
        "step": seen.step,
        "member": seen.member,
        "called": seen.called,
        "inputs": inputs,
        "after": list(seen.after),
    }
    return "step_began", {**about, "text": f"step {seen.step} began: {_last(seen.member)}{_values(inputs)}"}


_STEP_OUTCOMES = {**_OUTCOMES, Outcome.DONE: "gave"}


def _step_ended(seen: StepEnded) -> tuple[str, Account]:
    outputs = {port: brief(value) for port, value in seen.outputs.items()}
    reason = _cut(seen.reason)
    about = {"runid": seen.runid, "step": seen.step, "outcome": str(seen.outcome), "outputs": outputs, "reason": reason}
    ended = "returned nothing" if seen.outcome is Outcome.DONE and not outputs else _STEP_OUTCOMES[seen.outcome]
    why = f": {reason}" if reason else ""
    return "step_ended", {**about, "text": f"step {seen.step} {ended}{_values(outputs)}{why}"}


def _noted(seen: Noted) -> tuple[str, Account]:
    if isinstance(seen.what, str):
        return "noted", {"runid": seen.runid, "text": _cut(seen.what)}
    return "noted", {"runid": seen.runid, "reason": str(seen.what.reason), "text": _cut(seen.what.describe())}


def _values(by_port: Mapping[str, object]) -> str:
    return shortened("".join(f" {port}={_shown(value)}" for port, value in by_port.items()), _ALL_SHOWN_LENGTH_MAX)


def _shown(value: object) -> str:
    return shortened(_encode(value).decode(), _SHOWN_LENGTH_MAX)


def _last(path: str) -> str:
    return path.rpartition("/")[2]


_TELL: dict[type, Callable[[Any], tuple[str, Account]]] = {
    Fired: _fired,
    NotFired: _not_fired,
    RunEnded: _run_ended,
    DeadLettered: _dead_lettered,
    Dropped: _dropped,
    Stalled: _stalled,
    StepBegan: _step_began,
    StepEnded: _step_ended,
    Noted: _noted,
}


def _of_key(key: str | None) -> str:
    return "" if key is None else f" for {key!r}"


def _cut(text: str) -> str:
    return shortened(text, TEXT_LENGTH_MAX)
