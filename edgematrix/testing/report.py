"""The outcome of a scenario as a text that explains a failure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from edgematrix.protocol.duration import SECOND_US
from edgematrix.runtime.observation import DeadLettered, Dropped, Fired, NotFired, Observation, RunEnded
from edgematrix.runtime.observation import Outcome as RunOutcome
from edgematrix.testing.comparison import Comparison
from edgematrix.testing.scenario import Scenario

__all__ = ["Report", "run_with_report"]

_TRACES_MAX = 200
"""How many of the newest traces are kept."""
_TRACES_SHOWN = 30


@dataclass(frozen=True, slots=True)
class Report:
    """Whether a scenario passed, and what a reader needs to know if not."""

    name: str
    passed: bool
    text: str


def run_with_report(scenario: Scenario, seed: int = 0) -> Report:
    """Run a scenario and say how it went.

    Raises:
        ConfigError: the matrix cannot be built.
    """
    lines: deque[tuple[int, str]] = deque(maxlen=_TRACES_MAX)

    def observer(observation: Observation) -> None:
        text = _told(observation)
        if text:
            lines.append((observation.at_us - scenario.start_us, text))

    comparison = scenario.run(observer, seed)
    if comparison.passed:
        return Report(scenario.name, passed=True, text=f"{scenario.name}: passed")
    parts = [f"{scenario.file}: {scenario.name}", comparison.table()]
    shown = _near(list(lines), comparison)
    if shown:
        parts.append("what happened around the first difference:")
        parts += [f"  {at_us / SECOND_US:>8.10g} s  {text}" for at_us, text in shown]
    return Report(scenario.name, passed=False, text="\n".join(parts))


def _near(lines: list[tuple[int, str]], comparison: Comparison) -> list[tuple[int, str]]:
    """The traces up to and shortly after the first row that differs."""
    first = next(row for row in comparison.rows if not row.same)
    moments = [
        side for side in (first.expected.at if first.expected else None, first.seen.at_us if first.seen else None) if side is not None
    ]
    at_us = min(moments)
    before = [line for line in lines if line[0] <= at_us][-_TRACES_SHOWN:]
    return before + [line for line in lines if line[0] > at_us][: _TRACES_SHOWN - len(before)]


def _told(observation: Observation) -> str:
    match observation:
        case NotFired(path=path, trace=trace):
            return f"{path}: {trace.describe()}"
        case Fired(path=path, group=group, firing=firing):
            sources = ", ".join(f"{name}={reading.value!r}" for name, reading in firing.sources.items() if reading is not None)
            return f"{path}: `{group}` fired with {sources}"
        case RunEnded(path=path, group=group, outcome=RunOutcome.FAILED, reason=reason):
            return f"{path}: the run of `{group}` failed: {reason}"
        case DeadLettered(path=path, topic=topic, reason=reason):
            return f"{path}: dead letter of {topic}: {reason}"
        case Dropped(path=path, topic=topic, reason=reason):
            return f"{path}: dropped {topic}: {reason}"
        case _:
            return ""
