"""A group as it stands, in one line: `motion ✓ lux ✗ (41, needs < 30) · window 12s left`."""

from __future__ import annotations

from edgematrix.protocol.duration import format_duration
from edgematrix.triggers.group import Group
from edgematrix.triggers.plan import NEED_SEQUENCE, Plan
from edgematrix.triggers.source import ABSENT, CLOCK, LIVE, REGULAR, RESET, Source
from edgematrix.triggers.state import GroupState, Instance
from edgematrix.triggers.wording import short

__all__ = ["describe_match"]

_YES, _NO = "✓", "✗"


def describe_match(group: Group, state: GroupState, now_us: int, key: str | None = None) -> str:
    """What a group has and what it waits for.

    Args:
        group: the group.
        state: its state, which is only read.
        now_us: the caller's timeline.
        key: whose match is meant, in a keyed group; one that is not known has nothing of its own.
    """
    plan = group.plan
    instance = state.main
    if state.keys is not None:
        instance = state.keys.instances.get(key or "") or Instance(key, len(plan.sources))
    at_us = now_us - state.shift_us
    parts = [_of_source(group, state, instance, source, at_us) for source in plan.sources if source.role != RESET]
    line = " ".join(parts)
    times = [*_times(plan, instance, at_us), *_runs(instance)]
    return " · ".join([line, *times])


def _of_source(group: Group, state: GroupState, instance: Instance, source: Source, at_us: int) -> str:
    plan = group.plan
    if source.kind == LIVE:
        cell = (state.main if source.shared else instance).cells[source.index]
        value = "null" if cell is None or cell.message is None else short(cell.value)
        return f"{source.name} = {value}"
    if plan.need == NEED_SEQUENCE and source.role == REGULAR:
        return f"{source.name} {_YES if source in plan.regular[: instance.done] else _NO}"
    have = instance.mask | (state.main.mask if plan.keyed else 0)
    if source.bit & have:
        tokens = instance.tokens[source.index]
        return f"{source.name} {_YES}" + (f" x{len(tokens)}" if len(tokens) > 1 else "")
    detail = _lacking(state, instance, source, at_us)
    return f"{source.name} {_NO}" + (f" ({detail})" if detail else "")


def _lacking(state: GroupState, instance: Instance, source: Source, at_us: int) -> str:
    """What a source that is not ready has, and what it needs."""
    cell = (state.main if source.shared else instance).cells[source.index]
    if cell is None:
        return ""
    if cell.due_us is not None and (source.level_like or source.kind in (ABSENT, CLOCK)):
        left = f"in {format_duration(_seconds(cell.due_us - at_us))}"
        return f"ON, ready {left}" if source.level_like else left
    if source.level is not None and cell.message is not None:
        return "expired" if cell.side is None else f"{short(cell.value)}, needs {source.asked}"
    return ""


def _times(plan: Plan, instance: Instance, at_us: int) -> list[str]:
    found: list[str] = []
    moments = [tokens[0].at_us for tokens in instance.tokens if tokens]
    if moments and plan.within_us is not None:
        found.append(f"window {format_duration(_seconds(min(moments) + plan.within_us - at_us))} left")
    if moments and plan.timeout_us is not None:
        found.append(f"time-out in {format_duration(_seconds(min(moments) + plan.timeout_us - at_us))}")
    outlet, stages = instance.outlet, plan.stages
    if outlet is None or stages is None:
        return found
    if stages.cooldown_us is not None and outlet.passed_us is not None and outlet.passed_us + stages.cooldown_us > at_us:
        found.append(f"cooldown {format_duration(_seconds(outlet.passed_us + stages.cooldown_us - at_us))} left")
    if outlet.throttled is not None or outlet.debounced is not None:
        found.append("one firing held")
    return found


def _runs(instance: Instance) -> list[str]:
    outlet = instance.outlet
    if outlet is None or not outlet.running:
        return []
    waiting = len(outlet.queue or ())
    return [f"{len(outlet.running)} running" + (f", {waiting} waiting" if waiting else "")]


def _seconds(duration_us: int) -> int:
    """Whole seconds, rounded up, are enough for people; what is over is 0."""
    return max(-(-duration_us // 1_000_000), 0) * 1_000_000
