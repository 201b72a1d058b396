"""One observation as a line: for people, or as JSON for programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import tzinfo
from typing import Any

from edgematrix.cli.console import plain, shorten, style
from edgematrix.cli.display import clock_time, json_text, value_text
from edgematrix.protocol.moment import format_moment
from edgematrix.runtime.observation import (
    DeadLettered,
    Dropped,
    Fired,
    Noted,
    NotFired,
    Observation,
    Outcome,
    Published,
    Received,
    RunEnded,
    Stalled,
    StepBegan,
    StepEnded,
)
from edgematrix.triggers import Firing, Reason

__all__ = ["json_line", "readings", "text_line"]

_KIND_WIDTH = 9
_PATH_WIDTH = 24
_TEXT_LENGTH_MAX = 500
_VALUE_LENGTH_MAX = 120
_VALUES_LENGTH_MAX = 350
"""Of all that took part in a firing: with moment, kind and path a line for people has about 400 characters."""


def text_line(observation: Observation, *, colour: bool, zone: tzinfo | None = None) -> str | None:
    """A line for people, with the time of day in `zone`.

    None for what is no news: a message received, a level that stays as it is, a run that went well.
    """
    told = _TEXT[type(observation)](observation)
    if told is None:
        return None
    kind, hue, text = told
    path = "" if isinstance(observation, Received) else observation.path
    moment, kind = clock_time(observation.at_us, zone), kind.ljust(_KIND_WIDTH)
    if colour:
        moment, kind = style(moment, dim=True), style(kind, fg=hue)
    return f"{moment}  {kind}  {plain(path).ljust(_PATH_WIDTH)}  {text}"


def json_line(observation: Observation) -> str:
    """One JSON object with `time`, `kind` and what the observation holds."""
    kind, rest = _JSON[type(observation)](observation)
    return json_text({"time": format_moment(observation.at_us), "kind": kind, **rest})


def readings(firing: Firing, length_max: int = _VALUE_LENGTH_MAX) -> str:
    """What took part in a firing: `motion=true lux=24`; a clock by its name alone."""
    parts = [
        name if reading.topic is None and reading.value is None else f"{name}={value_text(reading.value, length_max)}"
        for name, reading in firing.sources.items()
        if reading is not None
    ]
    if firing.key is not None:
        parts.insert(0, f"[{plain(firing.key)}]")
    parts += [f"{name} is missing" for name in firing.missing]
    return " ".join(parts)


Told = tuple[str, str, str] | None


def _received(_: Any) -> Told:
    return None


def _fired(seen: Fired) -> Told:
    return "fired", "green", f"{seen.group}: {shorten(readings(seen.firing), _VALUES_LENGTH_MAX)}"


_NO_NEWS = frozenset({Reason.STEADY, Reason.NO_CHANGE, Reason.NOTED, Reason.OFF, Reason.SEEDED})
"""Values that came and changed nothing: most of what a sensor says."""


def _not_fired(seen: NotFired) -> Told:
    if seen.trace.reason in _NO_NEWS:
        return None
    return "not fired", "bright_black", plain(seen.trace.describe())


def _run_ended(seen: RunEnded) -> Told:
    if seen.outcome in (Outcome.DONE, Outcome.STOPPED):
        return None
    colour = "red" if seen.outcome is Outcome.FAILED else "yellow"
    return str(seen.outcome), colour, f"{seen.group}: {plain(seen.reason)}" if seen.reason else seen.group


def _step_ended(seen: StepEnded) -> Told:
    """A step that went well is no news: what it gave is published, or the next step's."""
    if seen.outcome is not Outcome.FAILED:
        return None
    return "failed", "red", f"step {seen.step}: {plain(seen.reason)}"


def _noted(seen: Noted) -> Told:
    return "noted", "bright_black", plain(_words(seen))


def _words(seen: Noted) -> str:
    return seen.what if isinstance(seen.what, str) else seen.what.describe()


def _published(seen: Published) -> Told:
    return "published", "cyan", f"{plain(seen.topic)} {value_text(seen.value, _VALUE_LENGTH_MAX)}"


def _brief(text: str) -> str:
    """What others wrote, such as a topic of 64 KiB, fills no log."""
    return plain(shorten(text, _TEXT_LENGTH_MAX))


def _dead_lettered(seen: DeadLettered) -> Told:
    return "dead", "red", f"{_brief(seen.topic)}: {_brief(seen.reason)}"


def _dropped(seen: Dropped) -> Told:
    return "dropped", "red", f"{_brief(seen.topic)}: {_brief(seen.reason)}"


def _stalled(seen: Stalled) -> Told:
    return "stalled", "yellow", f"its code kept the host from working for {seen.stall_ms} ms"


def _json_fired(seen: Fired) -> tuple[str, Mapping[str, object]]:
    firing = seen.firing
    sources = {
        name: None if reading is None else {"value": reading.value, "topic": reading.topic} for name, reading in firing.sources.items()
    }
    return "fired", {
        "path": seen.path,
        "group": seen.group,
        "run": seen.run,
        "key": firing.key,
        "sources": sources,
        "missing": firing.missing,
    }


def _json_not_fired(seen: NotFired) -> tuple[str, Mapping[str, object]]:
    trace = seen.trace
    about = {"path": seen.path, "group": trace.group, "key": trace.key, "source": trace.source}
    return "not_fired", {**about, "reason": trace.reason, "text": trace.describe()}


_TEXT: dict[type, Callable[[Any], Told]] = {
    Received: _received,
    Fired: _fired,
    NotFired: _not_fired,
    RunEnded: _run_ended,
    StepBegan: _received,
    StepEnded: _step_ended,
    Noted: _noted,
    Published: _published,
    DeadLettered: _dead_lettered,
    Dropped: _dropped,
    Stalled: _stalled,
}

_JSON: dict[type, Callable[[Any], tuple[str, Mapping[str, object]]]] = {
    Received: lambda seen: ("received", {"topic": seen.topic, "value": seen.value, "retained": seen.retained}),
    Fired: _json_fired,
    NotFired: _json_not_fired,
    RunEnded: lambda seen: (
        "run_ended",
        {"path": seen.path, "group": seen.group, "run": seen.run, "outcome": seen.outcome, "reason": seen.reason},
    ),
    StepBegan: lambda seen: (
        "step_began",
        {"path": seen.path, "runid": seen.runid, "step": seen.step, "member": seen.member, "called": seen.called}
        | {"inputs": dict(seen.inputs), "after": list(seen.after)},
    ),
    StepEnded: lambda seen: (
        "step_ended",
        {"path": seen.path, "runid": seen.runid, "step": seen.step, "outcome": seen.outcome}
        | {"outputs": dict(seen.outputs), "reason": seen.reason},
    ),
    Noted: lambda seen: ("noted", {"path": seen.path, "runid": seen.runid, "text": _words(seen)}),
    Published: lambda seen: ("published", {"path": seen.path, "topic": seen.topic, "value": seen.value}),
    DeadLettered: lambda seen: ("dead_lettered", {"path": seen.path, "topic": seen.topic, "reason": seen.reason}),
    Dropped: lambda seen: ("dropped", {"path": seen.path, "topic": seen.topic, "reason": seen.reason}),
    Stalled: lambda seen: ("stalled", {"path": seen.path, "stall_ms": seen.stall_ms}),
}
